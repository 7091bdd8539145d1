//! Events: what is read from the log is written back as the same event, in bytes that are canonical.
#![no_main]

use kernel::event::Event;
use libfuzzer_sys::fuzz_target;
use stdx::json;

fuzz_target!(|bytes: &[u8]| {
    let Ok((stamp, event)) = Event::decode(bytes) else { return };
    let written = event.encode(&stamp);
    let again = Event::decode(&written).expect("what was written is read");
    assert_eq!(again, (stamp, event), "an event changed on its way");
    // Numbers beyond what JSON holds exactly are never written by the law, and are no business of this target.
    if let Ok(value) = json::parse(&written) {
        assert_eq!(json::canonical(&value), written, "an event was not written canonically");
    }
});
