//! client
fn main(){}
