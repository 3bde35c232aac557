//! `import`: a file becomes a table, whatever happens meanwhile.

mod bad_rows;
mod kills;
mod mistakes;
mod program;
mod sample;
mod starts;
