use super::*;
#[test]
fn placeholder_roundtrip() {
    let mut w = Writer::new();
    w.map(1).text("a").uint(300);
    let bytes = w.finish();
    let mut r = Reader::new(&bytes);
    let mut m = r.map().unwrap();
    assert_eq!(m.field("a", |r| r.uint("a", 1000)).unwrap(), 300);
    m.end().unwrap();
    r.finish().unwrap();
}
