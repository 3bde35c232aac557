//! A new import, or the one that was begun before.
//!
//! `import_source` in the output file says which import it holds, under an id made when the file was. The id is the event's idempotency key,
//! so however often the program is started, one run is created; the run's id is noted beside it, for starts after the 24 h for which the
//! engine remembers keys. With the output file the id goes too: delete it, and the next start is a new import.
//!
//! A file that has changed since is refused, and so are other columns or another delimiter: the rows that are there would be of one content
//! and the rest of another.

use std::{
    io::Write,
    path::Path,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use stepcast::{Run, prelude::*};

use crate::{
    args::{Args, resolved},
    function::{self, Feed, Import, MOST_BATCHES},
    output::{Claimed, Output, column_names},
    source::{Source, counted},
    terminal::{self, Terminal},
};

/// Rows per step, unless that makes too many steps.
const BATCH: u64 = 50;

pub(crate) async fn run(args: Args) -> Result<(), Error> {
    let wanted = wanted(&args)?;
    let mut output = Output::create(&wanted.out)?;
    let claimed = output.claim(&wanted)?;
    same_import(&claimed.import, &wanted)?;
    let batch = claimed.import.batch;
    if args.batch.is_some_and(|asked| asked != batch) {
        terminal::note(&format!(
            "the import goes on with the {batch} rows per batch it began with"
        ));
    }

    let pause = Duration::from_millis(args.delay_ms);
    let stepcast = open(&args.db, app(pause)).await?;
    let done = follow(&stepcast, &output, claimed, &args).await;
    stepcast.shutdown().await?;
    done
}

/// Prints the app's channels, for `stepcast gen ts`.
pub(crate) fn manifest() -> Result<(), Error> {
    let manifest = app(Duration::ZERO).manifest()?;
    writeln!(std::io::stdout(), "{manifest}")?;
    Ok(())
}

fn app(pause: Duration) -> App {
    App::new("import")
        .channel::<Feed>()
        .function(stepcast::function("import", move |ctx| {
            function::import(ctx, pause)
        }))
}

async fn open(db: &Path, app: App) -> Result<Stepcast, Error> {
    Stepcast::open(db, app)
        .await
        .map_err(|error| Error::msg(format!("--db `{}`: {error}", db.display())))
}

async fn follow(
    stepcast: &Stepcast,
    output: &Output,
    claimed: Claimed,
    args: &Args,
) -> Result<(), Error> {
    let Claimed { import, run } = claimed;
    let feed = Feed::at(&import.id);
    let known = match run {
        Some(run) => known(stepcast.run(run)).await?,
        None => None,
    };
    let is_new = known.is_none();
    // Opened before a new run begins, so that every message comes by itself.
    let updates = stepcast.subscribe(&feed).opened().await?;
    let run = match known {
        Some(run) => run,
        None => {
            let sent = stepcast.send(import.clone()).idempotency_key(&import.id);
            let run = sent.await?.run().await?;
            output.note_run(run.id())?;
            run
        }
    };
    if run.status().await?.is_final() {
        terminal::note("this import had ended before; nothing is imported again");
    } else if !is_new {
        terminal::note(&format!("going on with run {}", run.id()));
    }
    Terminal::new(&import, args.json)
        .show(updates.until_run_ends(run))
        .await
}

/// The run, if this database has it. Another database may stand at `--db` now: then the rows are imported again, in place of those there.
async fn known(run: Run) -> Result<Option<Run>, Error> {
    match run.view().await {
        Ok(_) => Ok(Some(run)),
        Err(error) if error.code() == "unknown_run" => Ok(None),
        Err(error) => Err(error),
    }
}

/// The import that the arguments ask for.
fn wanted(args: &Args) -> Result<Import, Error> {
    args.check_paths()?;
    let source = Source::survey(resolved(&args.file), &args.choice()?)?;
    let file = source.file.display();
    let rows = source.rows;
    let batch = args.batch.unwrap_or(BATCH.max(rows.div_ceil(MOST_BATCHES)));
    if rows.div_ceil(batch) > MOST_BATCHES {
        let needed = rows.div_ceil(MOST_BATCHES);
        return Err(Error::msg(format!(
            "`{file}` has {rows} rows: --batch {batch} makes more than {MOST_BATCHES} steps of them; give --batch {needed} or more"
        )));
    }
    terminal::note(&format!(
        "{file}: {}, {}, {}",
        counted(rows, "row"),
        counted(source.columns.len() as u64, "column"),
        counted(source.comments, "comment line"),
    ));
    for (name, column) in source.columns.iter().zip(column_names(&source.columns)) {
        if *name != column {
            terminal::note(&format!(
                "column `{name}` is called `{column}` in the table"
            ));
        }
    }
    Ok(Import {
        id: new_id(),
        out: resolved(&args.out),
        source,
        batch,
    })
}

/// Whether the output file holds the import that is asked for.
fn same_import(held: &Import, wanted: &Import) -> Result<(), Error> {
    let (out, file) = (wanted.out.display(), wanted.source.file.display());
    let (was, now) = (&held.source, &wanted.source);
    let difference = if held.out != wanted.out {
        let begun = held.out.display();
        format!("it was begun as `{begun}`, and its run knows it by that name")
    } else if was.file != now.file {
        let begun = was.file.display();
        format!("it holds the import of `{begun}`, not of `{file}`")
    } else if !was.state.same_content(&now.state) {
        let (before, after) = (was.state.bytes, now.state.bytes);
        format!("`{file}` has changed since its import began ({before} bytes then, {after} now)")
    } else if (was.format, &was.columns) != (now.format, &now.columns) {
        format!(
            "the import of `{file}` began with another delimiter, comment, header or number of optional columns"
        )
    } else {
        return Ok(());
    };
    Err(Error::msg(format!(
        "--out `{out}`: {difference}; give another --out, or delete it to import anew"
    )))
}

/// An id that no other output file has: the process's id and the time.
fn new_id() -> String {
    let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH);
    let nanos = since_1970.unwrap_or_default().as_nanos();
    format!("{}-{nanos}", std::process::id())
}
