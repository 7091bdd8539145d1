//! Events as they come, cut at any byte.

use super::*;

fn read(chunks: &[&[u8]], event_bytes_max: usize) -> Result<Vec<Event>, TooLarge> {
    let mut parser = Parser::new(event_bytes_max);
    let mut ready = VecDeque::new();
    for chunk in chunks {
        parser.feed(chunk, &mut ready)?;
    }
    Ok(ready.into())
}

fn data(text: &str) -> Event {
    Event { data: text.into(), ..Event::default() }
}

#[test]
fn an_event_is_the_same_wherever_its_stream_is_cut() {
    let stream = b"\xef\xbb\xbfid: 1\r\nretry: 50\r\ndata:\r\n\r\n: still here\r\revent: message\ndata: a\ndata:b\r\n\n\
        event: other\ndata: x\n\ndata: last\n\ndata: unfinished";
    let expected = vec![
        Event { id: Some("1".into()), retry_ms: Some(50), data: Vec::new() },
        data("a\nb"),
        data("last"),
    ];
    assert_eq!(read(&[stream], 100).unwrap(), expected);
    for at in 0..stream.len() {
        let (head, tail) = stream.split_at(at);
        assert_eq!(read(&[head, tail], 100).unwrap(), expected, "cut at {at}");
        assert_eq!(read(&[head, b"", tail], 100).unwrap(), expected, "cut at {at}");
    }
}

#[test]
fn an_event_beyond_its_limit_ends_the_stream_even_before_it_ends() {
    let long = vec![b'x'; 2_000];
    assert!(read(&[b"data: ", &long], 100).is_err());
    assert!(read(&[b"data: a\n".repeat(1_000).as_slice()], 100).is_err());
    assert_eq!(read(&[b"data: ", &long, b"\n\n"], 3_000).unwrap().len(), 1);
}
