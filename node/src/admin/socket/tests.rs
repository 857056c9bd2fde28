use std::thread;

use super::*;

#[tokio::test]
async fn stop_does_not_wait_for_who_does_not_read() {
    let dir = tempfile::TempDir::new().unwrap();
    let stop = CancellationToken::new();
    let large = |_| async { Reply::Done(Value::String("x".repeat(64 * 1024 * 1024))) };
    let served = tokio::spawn(serve(dir.path().to_owned(), large, stop.clone()));
    let path = dir.path().join("control.sock");
    while !path.exists() {
        tokio::task::yield_now().await;
    }
    let mut silent = UnixStream::connect(&path).unwrap();
    silent.write_all(b"{\"verb\":\"status\"}\n").unwrap();
    tokio::time::sleep(Duration::from_millis(300)).await;
    stop.cancel();
    let done = tokio::time::timeout(Duration::from_secs(5), served).await;
    done.unwrap().unwrap().unwrap();
}

#[tokio::test]
async fn a_large_answer_arrives_whole() {
    let dir = tempfile::TempDir::new().unwrap();
    let stop = CancellationToken::new();
    let size = 32 * 1024 * 1024;
    let large = move |_| async move { Reply::Done(Value::String("x".repeat(size))) };
    let served = tokio::spawn(serve(dir.path().to_owned(), large, stop.clone()));
    while !dir.path().join("control.sock").exists() {
        tokio::task::yield_now().await;
    }
    let path = dir.path().to_owned();
    let asked = thread::spawn(move || ask(&path, &Request::Status));
    while !asked.is_finished() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let Some(Reply::Done(Value::String(text))) = asked.join().unwrap().unwrap() else {
        panic!("no answer");
    };
    assert_eq!(text.len(), size);
    stop.cancel();
    served.await.unwrap().unwrap();
}

#[test]
fn a_failure_tells_its_causes() {
    let source = io::Error::other("inner");
    let error = crate::config::ConfigError::Read {
        path: "x".into(),
        source,
    };
    let Reply::Failed { causes, .. } = Reply::failed(&error, None) else {
        panic!("done");
    };
    assert_eq!(causes, ["inner"]);
    let old = r#"{"failed":{"error":"e","hint":null}}"#;
    let old: Reply = serde_json::from_str(old).unwrap();
    assert!(matches!(old, Reply::Failed { causes, .. } if causes.is_empty()));
}
