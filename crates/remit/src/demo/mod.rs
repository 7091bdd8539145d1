//! `remit demo`: one story end to end, through the real doors, with a tool server of its own.

mod claims;
mod desk;
mod story;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result};
use api::client::Client;
use tokio::net::TcpListener;

use crate::cli::{Demo, Whose};
use crate::{compose, config, out, private};

const FILES: [(&str, &str); 5] = [
    ("remit.yaml", include_str!("../../../../examples/refund-desk/remit.yaml")),
    ("agents/claims-desk.yaml", include_str!("../../../../examples/refund-desk/agents/claims-desk.yaml")),
    ("agents/refund-desk.yaml", include_str!("../../../../examples/refund-desk/agents/refund-desk.yaml")),
    ("tools/desk.yaml", include_str!("../../../../examples/refund-desk/tools/desk.yaml")),
    ("policies/house.cedar", include_str!("../../../../examples/refund-desk/policies/house.cedar")),
];

/// The tool server's secret; only a demo's data folder holds one.
pub(crate) const DESK_KEY: &str = "desk.key";

pub(crate) async fn demo(whose: &Whose, options: &Demo) -> Result<ExitCode> {
    crate::cmd::log_to_stderr();
    private::from_now_on();
    let data = fresh_folder(whose)?;
    let (url, desk) = desk(&data).await?;
    let texts = texts(&url, &data);
    let files: Vec<(&str, &str)> = texts.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
    let (rules, mut settings, _) = config::load_embedded(&files, &data).and_then(compose::compile)?;
    for address in [&mut settings.agents_listen, &mut settings.people_listen] {
        // The usual ports if they are free; a demo must not fail because something else runs.
        if options.once || TcpListener::bind(*address).await.is_err() {
            address.set_port(0);
        }
    }
    let running = compose::start(rules, &settings).await?;
    let told = story::tell(&running, &data, &desk).await?;
    out::line("");
    out::line(format!("agents' doors   http://{}", running.agents));
    out::line(format!("people's API    http://{}   (its description: /openapi.json)", running.people));
    if !options.once {
        let key = std::fs::read_to_string(data.join(compose::OPERATOR_KEY)).context("the operator key")?;
        let people = Client::new(&format!("http://{}", running.people), Some(key.trim().to_owned()));
        story::leave_one(&running, &told.key).await?;
        out::line("");
        let lee = story::LEE;
        let (link, _) = crate::cmd::link(&people, None).await?;
        let (inbox, _) = crate::cmd::link(&people, Some(lee.to_owned())).await?;
        out::line(format!("console         {link}"));
        out::line(format!("answer it       {inbox}   (as {lee}, in the inbox)"));
        out::line(format!(
            "                (good once, for five minutes; then: cargo remit --data {} login [--as {lee}])",
            data.display()
        ));
    }
    out::line(format!("operator key    {}", data.join(compose::OPERATOR_KEY).display()));
    out::line(format!("ask why         cargo remit --data {} explain {}", data.display(), told.refused));
    out::line(format!(
        "take it back    cargo remit --data {} run undo {} --dry-run",
        data.display(),
        told.committed
    ));
    out::line(format!("see it all      cargo remit --data {} runs", data.display()));
    if !options.once {
        out::line("");
        out::line("It stays up. Ctrl-C ends it.");
        tokio::signal::ctrl_c().await?;
    }
    running.stop().await;
    Ok(ExitCode::SUCCESS)
}

fn fresh_folder(whose: &Whose) -> Result<PathBuf> {
    let Some(folder) = whose.data.clone() else {
        // One that is there already may be somebody else's trap.
        let folder = std::env::temp_dir().join(format!("remit-demo-{}", std::process::id()));
        private::new_folder(&folder)?;
        return Ok(folder);
    };
    if folder.join("house.key").exists() {
        anyhow::bail!("`{}` has been used before; the demo wants a fresh folder", folder.display());
    }
    // The rights of what is made here follow from those of this process.
    std::fs::create_dir_all(&folder).with_context(|| format!("`{}` cannot be made", folder.display()))?;
    Ok(folder)
}

/// The desk listens on a free port and wants a secret that no agent ever sees.
async fn desk(data: &Path) -> Result<(String, std::sync::Arc<desk::Desk>)> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}", listener.local_addr()?);
    let secret = stdx::digest::Digest::of(format!("{url} {}", std::process::id()).as_bytes()).short();
    private::write(&data.join(DESK_KEY), &secret, true)?;
    let desk = desk::Desk::new(&secret);
    tokio::spawn(desk::serve(listener, desk.clone()));
    Ok((url, desk))
}

/// The example's files, with the desk's address and secret of this start.
fn texts(url: &str, data: &Path) -> Vec<(String, String)> {
    let secret = data.join(DESK_KEY);
    let credential = format!("env: prod\ncredential: {{ bearer: \"file:{}\" }}", secret.display());
    let adapt = |name: &str, text: &str| match name {
        "tools/desk.yaml" => text.replace("http://127.0.0.1:7480", url).replacen("env: prod", &credential, 1),
        _ => text.to_owned(),
    };
    FILES.iter().map(|(name, text)| ((*name).to_owned(), adapt(name, text))).collect()
}
