//! Benchmarks of Stepcast: `cargo bench`. Each prints a figure and its ratio to a floor measured in the same process.
