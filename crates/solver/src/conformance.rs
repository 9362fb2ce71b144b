//! What every cache storage must do. To be called by the tests of those that implement one.
