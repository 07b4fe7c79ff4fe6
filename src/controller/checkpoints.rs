//! The record beside the object, while a run makes its changes: what a process that is killed had done
//! by then.

use std::time::Duration;

use futures::future::BoxFuture;
use tokio::sync::{mpsc, oneshot};

use super::plan::PlanContent;
use crate::sync::checkpoint::Checkpoints;
use crate::sync::ledger::Ledger;

/// The run's side. It waits until the record is kept.
pub struct RecordSender {
    sender: mpsc::Sender<RecordRequest>,
    interval: Duration,
}

/// A record to be kept; whoever keeps it answers.
pub struct RecordRequest {
    /// The record.
    pub ledger: Ledger,
    /// To be answered once it is kept, or can't be.
    pub kept: oneshot::Sender<()>,
}

/// The side that writes to the API server.
pub struct RecordReceiver(mpsc::Receiver<RecordRequest>);

/// A plan as this process wrote it before the first change.
pub struct WrittenPlan {
    /// What was written.
    pub content: PlanContent,
    /// The resource version of the object that holds it.
    pub version: String,
}

/// Both sides, for records that are kept at this interval.
pub fn channel(interval: Duration) -> (RecordSender, RecordReceiver) {
    let (sender, receiver) = mpsc::channel(1);
    let sender = RecordSender { sender, interval };
    (sender, RecordReceiver(receiver))
}

impl RecordReceiver {
    /// The receiver of a run that changes nothing.
    pub fn closed() -> Self {
        channel(Duration::ZERO).1
    }

    /// The next record; `None` where none will come.
    pub async fn next(&mut self) -> Option<RecordRequest> {
        self.0.recv().await
    }
}

impl Checkpoints for RecordSender {
    fn interval(&self) -> Duration {
        self.interval
    }

    fn keep(&self, ledger: Ledger) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            let (kept, answer) = oneshot::channel();
            let request = RecordRequest { ledger, kept };
            if self.sender.send(request).await.is_ok() {
                answer.await.ok();
            }
        })
    }
}
