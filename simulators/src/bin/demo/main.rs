//! Shows the operator at work on real parts, and checks everything that it says.
//!
//! ```text
//! cast    who is in the directory and in the organization when it begins
//! stage   the parts: API server, OpenLDAP, organization, operator
//! story   the steps
//! screen  how it is printed
//! ```

mod cast;
mod screen;
mod stage;
mod story;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use clap::Parser;
use clap::builder::BoolishValueParser;

use screen::Screen;
use stage::Stage;

/// Shows the operator at work.
#[derive(Debug, Parser)]
struct Arguments {
    /// The program to show
    #[arg(long, value_name = "directory-sync")]
    program: PathBuf,
    /// Where kubeconfigs, certificates and the operator's log go; relative to the repository's
    /// root, which must be the working directory
    #[arg(long, default_value = "target/demo")]
    folder: PathBuf,
    /// Leave everything running at the end, until interrupted
    #[arg(long, env = "KEEP", value_parser = BoolishValueParser::new())]
    keep: bool,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let screen = Screen::new();
    let started = Instant::now();
    screen.title("directory-sync-operator: the demo");
    screen.say(
        "A real Kubernetes API server, a real OpenLDAP with a company of 200 people, a simulated Bitwarden\n\
         organization, and the operator.",
    );
    let stage = match Stage::build(&screen, &arguments.folder) {
        Ok(stage) => stage,
        Err(error) => {
            screen.failed(&error);
            return ExitCode::FAILURE;
        }
    };
    let result = story::run(&screen, &stage, &arguments.program);
    match &result {
        Ok(()) => screen.passed(&format!(
            "All of this was checked, in {:.0} s. KEEP=1 make demo leaves it running.",
            started.elapsed().as_secs_f32()
        )),
        Err(error) => {
            screen.failed(error);
            stage.show_operator_log(&screen);
        }
    }
    if arguments.keep {
        stage.keep(&screen);
    }
    if result.is_ok() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
