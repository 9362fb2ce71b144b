//! The crate as its users see it: trees and archives described in text, before and after.

mod apply;
mod changes;
mod checksum;
mod copy;
mod diff;
mod edit;
mod fixture;
mod snapshotter;
mod tar;
