//! Long lines, endless lines, and the id of what cannot be read.

use super::*;

async fn lines(output: &[u8], bytes_max: usize) -> Vec<Line> {
    let mut lines = Lines::new(tokio::io::BufReader::with_capacity(7, output), bytes_max);
    let mut read = Vec::new();
    loop {
        let line = lines.next().await;
        if line == Line::End {
            return read;
        }
        read.push(line);
    }
}

#[tokio::test]
async fn a_line_that_is_too_long_does_not_cost_the_next() {
    let long = [b"{\"id\": 7,".as_slice(), &[b'x'; 1_000], b"}"].concat();
    let output = [b"one\n", long.as_slice(), b"\n\ntwo\r\nunfinished"].concat();
    let read = lines(&output, 500).await;
    let [one, Line::TooLong { head, tail }, empty, two] = read.as_slice() else { panic!("{read:?}") };
    assert_eq!(*one, Line::Whole(b"one".to_vec()));
    assert_eq!(id_in(head), Some(7));
    assert!(tail.ends_with(b"x}") && tail.len() <= SAMPLE_BYTES);
    assert_eq!(*empty, Line::Whole(Vec::new()));
    assert_eq!(*two, Line::Whole(b"two\r".to_vec()));
}

#[tokio::test]
async fn an_endless_line_ends_the_output() {
    assert_eq!(lines(&vec![b'x'; 100_000], 1_000).await, Vec::new());
}

#[test]
fn an_id_is_found_where_the_rest_is_lost() {
    assert_eq!(id_in(b"{\"jsonrpc\":\"2.0\",\"id\": 12,\"result\":{"), Some(12));
    assert_eq!(id_in(b"{\"id\":\"12\"}"), None);
    assert_eq!(id_in(b"{}"), None);
}
