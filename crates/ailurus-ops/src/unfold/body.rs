//! Body of standard operators.
