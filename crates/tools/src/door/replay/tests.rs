//! What is kept, what is forgotten, and who reads.

use super::*;

async fn all(reader: &mut Reader) -> Vec<String> {
    let mut all = Vec::new();
    while let Some(frame) = reader.next().await {
        all.push(String::from_utf8(frame.to_vec()).unwrap());
    }
    all
}

#[tokio::test]
async fn who_comes_again_hears_what_came_after_the_last_that_was_heard() {
    let told = Arc::new(Told::new(3));
    let mut first = told.read(0);
    told.push(b"data: a\n\n");
    assert_eq!(first.next().await.unwrap(), "id: 3-0\ndata: a\n\n");
    told.push(b"data: b\n\n");
    let mut second = told.read(1);
    assert!(first.next().await.is_none(), "one connection reads a stream");
    told.end(b"data: c\n\n");
    assert_eq!(all(&mut second).await, ["id: 3-1\ndata: b\n\n", "id: 3-2\ndata: c\n\n"]);
    assert_eq!(all(&mut told.read(2)).await, ["id: 3-2\ndata: c\n\n"]);
    assert_eq!(told.after(0).len(), 2);
    assert!(told.after(u64::MAX - 1).is_empty());
}

#[tokio::test]
async fn the_oldest_is_forgotten_and_the_last_is_heard_once() {
    let told = Arc::new(Told::new(1));
    let mut reader = told.read(0);
    for _ in 0..10 {
        told.push(&[b'x'; KEPT_BYTES_MAX / 4]);
    }
    assert!(told.lines().bytes <= KEPT_BYTES_MAX);
    told.end(&[b'y'; 2 * KEPT_BYTES_MAX]);
    let heard = all(&mut reader).await;
    assert!(heard.len() == 1 && heard[0].starts_with("id: 1-10\ny"), "the newest is there");
    assert_eq!(told.lines().bytes, 0, "what is too long is not kept once it was written");
    assert!(all(&mut told.read(0)).await.is_empty());
}

#[tokio::test]
async fn as_many_streams_are_kept_as_there_is_room_for() {
    let replays = Replays::default();
    let all: Vec<_> = (0..STREAMS_MAX).map(|_| replays.begin().unwrap()).collect();
    assert!(replays.begin().is_none(), "what is under way is not forgotten");
    all[2].end(b"data: over\n\n");
    let next = replays.begin().unwrap();
    assert!(replays.find(all[2].number).is_none() && replays.find(next.number).is_some());
}

#[test]
fn an_id_says_where_it_was() {
    assert_eq!(place("2-17"), Some((2, 17)));
    for strange in ["", "2", "2-", "-2", "a-b", "2-3-4", "2-99999999999999999999"] {
        assert_eq!(place(strange), None, "{strange}");
    }
}
