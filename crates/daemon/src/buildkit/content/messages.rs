//! Messages of containerd's content service, as far as they are used.

use prost::Message;

/// The name of the service.
pub(in crate::buildkit) const NAME: &str = "containerd.services.content.v1.Content";
/// What a writer is asked to do.
pub(in crate::buildkit) const STAT: i32 = 0;
pub(in crate::buildkit) const WRITE: i32 = 1;
pub(in crate::buildkit) const COMMIT: i32 = 2;

/// `InfoRequest`.
#[derive(Clone, PartialEq, Message)]
pub(in crate::buildkit) struct InfoRequest {
    #[prost(string, tag = "1")]
    pub(in crate::buildkit) digest: String,
}

/// `InfoResponse`.
#[derive(Clone, PartialEq, Message)]
pub(in crate::buildkit) struct InfoResponse {
    #[prost(message, optional, tag = "1")]
    pub(in crate::buildkit) info: Option<Info>,
}

/// `Info`, without times and labels, which blobs of the store have none of.
#[derive(Clone, PartialEq, Message)]
pub(in crate::buildkit) struct Info {
    #[prost(string, tag = "1")]
    pub(in crate::buildkit) digest: String,
    #[prost(int64, tag = "2")]
    pub(in crate::buildkit) size: i64,
}

/// `ListContentRequest`, and `ListStatusesRequest`, which is equal.
#[derive(Clone, PartialEq, Message)]
pub(in crate::buildkit) struct ListRequest {
    /// One of them must hold, if there are any.
    #[prost(string, repeated, tag = "1")]
    pub(in crate::buildkit) filters: Vec<String>,
}

/// `ListContentResponse`, of which there are as many as it takes.
#[derive(Clone, PartialEq, Message)]
pub(in crate::buildkit) struct ListResponse {
    #[prost(message, repeated, tag = "1")]
    pub(in crate::buildkit) info: Vec<Info>,
}

/// `ReadContentRequest`.
#[derive(Clone, PartialEq, Message)]
pub(in crate::buildkit) struct ReadRequest {
    #[prost(string, tag = "1")]
    pub(in crate::buildkit) digest: String,
    #[prost(int64, tag = "2")]
    pub(in crate::buildkit) offset: i64,
    /// All of the rest when it is zero.
    #[prost(int64, tag = "3")]
    pub(in crate::buildkit) size: i64,
}

/// `ReadContentResponse`.
#[derive(Clone, PartialEq, Message)]
pub(in crate::buildkit) struct ReadResponse {
    #[prost(int64, tag = "1")]
    pub(in crate::buildkit) offset: i64,
    #[prost(bytes = "vec", tag = "2")]
    pub(in crate::buildkit) data: Vec<u8>,
}

/// `WriteContentRequest`.
#[derive(Clone, PartialEq, Message)]
pub(in crate::buildkit) struct WriteRequest {
    #[prost(int32, tag = "1")]
    pub(in crate::buildkit) action: i32,
    /// What the writing is called until it is done.
    #[prost(string, tag = "2")]
    pub(in crate::buildkit) name: String,
    #[prost(int64, tag = "3")]
    pub(in crate::buildkit) total: i64,
    #[prost(string, tag = "4")]
    pub(in crate::buildkit) expected: String,
    #[prost(int64, tag = "5")]
    pub(in crate::buildkit) offset: i64,
    #[prost(bytes = "vec", tag = "6")]
    pub(in crate::buildkit) data: Vec<u8>,
}

/// `WriteContentResponse`, without times.
#[derive(Clone, PartialEq, Message)]
pub(in crate::buildkit) struct WriteResponse {
    #[prost(int32, tag = "1")]
    pub(in crate::buildkit) action: i32,
    #[prost(int64, tag = "4")]
    pub(in crate::buildkit) offset: i64,
    #[prost(int64, tag = "5")]
    pub(in crate::buildkit) total: i64,
    #[prost(string, tag = "6")]
    pub(in crate::buildkit) digest: String,
}
