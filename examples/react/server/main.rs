//! Three durable functions and a page of React that watches them: a greeting, an answer as a model writes it, and an import.
//!
//! `cargo run --example react` serves them on <http://127.0.0.1:8288/>. The page is beside this folder; its README says how it is built.

#![expect(clippy::print_stdout, reason = "an example talks to its terminal")]

mod answer;
mod greeting;
mod import;
mod routes;

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use axum::Router;
use clap::Parser;
use stepcast::prelude::*;
use tokio::net::TcpListener;
use tower_http::services::ServeDir;

/// A page of React that watches durable functions.
#[derive(Parser)]
struct Args {
    /// The port to serve on; 0 takes a free one.
    #[arg(long, env = "STEPCAST_PORT", default_value_t = 8288)]
    port: u16,
    /// The database file, made where there is none.
    #[arg(long, default_value = "react.db")]
    db: PathBuf,
    /// The built page.
    #[arg(long, default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/react/dist"))]
    page: PathBuf,
    /// How many milliseconds a word of an answer takes.
    #[arg(long, default_value_t = 60)]
    pace_ms: u64,
}

#[tokio::main]
async fn main() -> Result<(), Error> {
    let args = Args::parse();
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .init();
    let listener = TcpListener::bind(("127.0.0.1", args.port)).await?;
    let stepcast = Stepcast::open(&args.db, app(Duration::from_millis(args.pace_ms))).await?;
    let done = serve(listener, stepcast.clone(), &args.page).await;
    stepcast.shutdown().await?;
    done
}

fn app(pace: Duration) -> App {
    App::new("react")
        .channel::<greeting::Greeting>()
        .channel::<answer::Answer>()
        .channel::<import::Import>()
        .function(function("greet", move |ctx| greeting::greet(ctx, pace)))
        .function(function("answer", move |ctx| answer::answer(ctx, pace)).expose_result())
        .function(function("import", move |ctx| import::import(ctx, pace)).expose_result())
}

async fn serve(listener: TcpListener, stepcast: Stepcast, page: &Path) -> Result<(), Error> {
    let routes = Router::new()
        .nest("/api", routes::routes(stepcast.clone()))
        .merge(stepcast.router())
        .fallback_service(ServeDir::new(page));
    println!("listening on http://{}/", listener.local_addr()?);
    if !page.join("index.html").exists() {
        println!(
            "there is no page in {}: build it or run `npm run dev`, as examples/react/README.md says",
            page.display()
        );
    }
    let routes = routes.into_make_service_with_connect_info::<std::net::SocketAddr>();
    let stop = async move {
        // Without a terminal there is nobody to wait for.
        drop(tokio::signal::ctrl_c().await);
        stepcast.close_connections().await;
    };
    axum::serve(listener, routes)
        .with_graceful_shutdown(stop)
        .await?;
    Ok(())
}
