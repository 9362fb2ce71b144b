//! Messages of containerd's content service, as far as they are used. Their fields are those of its
//! `content.proto`.

#![expect(missing_docs, reason = "what the fields are is said there")]

use prost::Message;

/// The name of the service.
pub const NAME: &str = "containerd.services.content.v1.Content";
/// What a writer is asked to do.
pub const STAT: i32 = 0;
pub const WRITE: i32 = 1;
pub const COMMIT: i32 = 2;

/// `InfoRequest`.
#[derive(Clone, PartialEq, Message)]
pub struct InfoRequest {
    #[prost(string, tag = "1")]
    pub digest: String,
}

/// `InfoResponse`.
#[derive(Clone, PartialEq, Message)]
pub struct InfoResponse {
    #[prost(message, optional, tag = "1")]
    pub info: Option<Info>,
}

/// `Info`, without times and labels, which blobs of the store have none of.
#[derive(Clone, PartialEq, Message)]
pub struct Info {
    #[prost(string, tag = "1")]
    pub digest: String,
    #[prost(int64, tag = "2")]
    pub size: i64,
}

/// `ListContentRequest`, and `ListStatusesRequest`, which is equal.
#[derive(Clone, PartialEq, Message)]
pub struct ListRequest {
    /// One of them must hold, if there are any.
    #[prost(string, repeated, tag = "1")]
    pub filters: Vec<String>,
}

/// `ListContentResponse`, of which there are as many as it takes.
#[derive(Clone, PartialEq, Message)]
pub struct ListResponse {
    #[prost(message, repeated, tag = "1")]
    pub info: Vec<Info>,
}

/// `ReadContentRequest`.
#[derive(Clone, PartialEq, Message)]
pub struct ReadRequest {
    #[prost(string, tag = "1")]
    pub digest: String,
    #[prost(int64, tag = "2")]
    pub offset: i64,
    /// All of the rest when it is zero.
    #[prost(int64, tag = "3")]
    pub size: i64,
}

/// `ReadContentResponse`.
#[derive(Clone, PartialEq, Message)]
pub struct ReadResponse {
    #[prost(int64, tag = "1")]
    pub offset: i64,
    #[prost(bytes = "vec", tag = "2")]
    pub data: Vec<u8>,
}

/// `WriteContentRequest`.
#[derive(Clone, PartialEq, Message)]
pub struct WriteRequest {
    #[prost(int32, tag = "1")]
    pub action: i32,
    /// What the writing is called until it is done.
    #[prost(string, tag = "2")]
    pub name: String,
    #[prost(int64, tag = "3")]
    pub total: i64,
    #[prost(string, tag = "4")]
    pub expected: String,
    #[prost(int64, tag = "5")]
    pub offset: i64,
    #[prost(bytes = "vec", tag = "6")]
    pub data: Vec<u8>,
}

/// `WriteContentResponse`, without times.
#[derive(Clone, PartialEq, Message)]
pub struct WriteResponse {
    #[prost(int32, tag = "1")]
    pub action: i32,
    #[prost(int64, tag = "4")]
    pub offset: i64,
    #[prost(int64, tag = "5")]
    pub total: i64,
    #[prost(string, tag = "6")]
    pub digest: String,
}
