//! Servers that others wrote. `cargo xtask peers` installs them; where they are not, these tests say so and end.
