//! The crate as its users see it: trees and archives described in text, before and after.

mod apply;
mod diff;
mod fixture;
mod tar;
