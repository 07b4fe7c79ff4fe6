//! Takes back what a run did: the operator says first what it would do, and is asked once more to do exactly
//! that.

use std::sync::Arc;

use axum::extract::{Form, Path, Query, State};
use axum::response::Response;
use serde::Deserialize;

use super::App;
use super::routes::{ANSWER_TIMEOUT, Which, refused, see_other};
use super::view;
use crate::controller::requests::UndoQuestion;
use crate::controller::undo::Answer;
use crate::plugin::error::PluginError;
use crate::plugin::resource::Resource;
use crate::plugin::undo::{ask_operator, of};
use crate::sync::undo::UndoDocument;

/// What the operator answered.
pub struct UndoAnswer {
    /// What it was asked, without what was confirmed.
    pub question: UndoQuestion,
    /// What would be done, or was.
    pub document: UndoDocument,
    /// What was done, in words; `None`: nothing was.
    pub done: Option<Vec<String>>,
    /// It was to be done, and was another one than was confirmed.
    pub changed: bool,
}

/// What an address says beside its path: which run, or which answer.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Asked {
    run: String,
    answer: Option<usize>,
}

/// Shows an answer, or the form that asks for one.
pub async fn show(
    State(app): State<Arc<App>>,
    Path(which): Path<Which>,
    Query(asked): Query<Asked>,
) -> Response {
    let page = app.find(&which).await.map(|resource| {
        let number = asked.answer;
        let answer = number.and_then(|number| app.undos.get(number, &resource.full_name()));
        let frame = app.frame(&format!("Undo: {}", resource.full_name()));
        match answer.as_deref() {
            None => view::ask_to_undo(&frame, &resource, &asked.run),
            Some(answer) if answer.done.is_some() => view::undone(&frame, &resource, answer),
            Some(answer) => view::undo(&frame, &resource, answer),
        }
    });
    app.answer(page)
}

/// The form that asks: what to show, or, with the digest of what was shown, what to do.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Sent {
    token: String,
    run: String,
    person: String,
    group: String,
    digest: String,
    approve: String,
}

impl Sent {
    fn question(&self) -> Result<UndoQuestion, PluginError> {
        let given = |text: &str| Some(text.trim().to_owned()).filter(|text| !text.is_empty());
        let question = UndoQuestion {
            run: given(&self.run),
            person: given(&self.person),
            group: given(&self.group),
            digest: given(&self.digest),
            approve: given(&self.approve),
            ..UndoQuestion::default()
        };
        if question.run.is_none() {
            return Err(PluginError::NotNow(
                "write which run to undo: its ID is in the history".into(),
            ));
        }
        if question.person.is_some() && question.group.is_some() {
            return Err(PluginError::NotNow(
                "write a person or a group, not both".into(),
            ));
        }
        Ok(question)
    }
}

/// Has the operator show an undo, or do it, and leads to what it says.
pub async fn ask(
    State(app): State<Arc<App>>,
    Path(which): Path<Which>,
    Form(sent): Form<Sent>,
) -> Response {
    if let Err(refusal) = app.session.check_form(&sent.token) {
        return refused(refusal);
    }
    let asked = async {
        let resource = app.find(&which).await?;
        let question = sent.question()?;
        // The browser shows that it waits.
        let mut show = |_: &str, _| {};
        let asking = ask_operator(
            &app.cluster,
            &resource,
            &question,
            ANSWER_TIMEOUT,
            &mut show,
        );
        let answer = asking.await?;
        let answer = answered(&resource, question, answer)?;
        let number = app.undos.keep(resource.full_name(), answer);
        Ok(format!("{}/undo?answer={number}", app.address(&resource)))
    };
    match asked.await {
        Ok(to) => see_other(&to),
        Err(error) => app.failed(&error, Some(&which)),
    }
}

fn answered(
    resource: &Resource,
    question: UndoQuestion,
    mut answer: Answer,
) -> Result<UndoAnswer, PluginError> {
    // Where a part of it was done, the page says which, and why not all.
    let is_partly_done = answer.done.as_ref().is_some_and(|done| !done.is_empty());
    let error = answer.error.take_if(|_| is_partly_done);
    let done = answer.done.as_ref().map(|done| {
        let counts = done.iter().map(|(kind, count)| format!("{count} {kind}"));
        let problems = answer.problems.iter().cloned();
        counts.chain(problems).chain(error).collect()
    });
    Ok(UndoAnswer {
        done,
        changed: answer.changed,
        document: of(resource, answer)?,
        question: UndoQuestion {
            digest: None,
            ..question
        },
    })
}
