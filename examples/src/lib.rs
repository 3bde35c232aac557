//! Programs that show Stepcast at work; each is a folder beside this one.
