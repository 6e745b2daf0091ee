//! Open questions. The first answer of any interface settles a question, and all interfaces get an event about that.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::oneshot;

use crate::event::{EventHub, EventKind};
use crate::question::{Answer, AnswerError, Question, QuestionId};

/// The open questions, and the interfaces that can answer. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Questions {
    hub: EventHub,
    state: Arc<Mutex<QuestionsState>>,
}

#[derive(Debug, Default)]
struct QuestionsState {
    last_question: u64,
    last_interface: u64,
    /// The registered interfaces.
    interfaces: BTreeSet<u64>,
    open: BTreeMap<QuestionId, QuestionEntry>,
}

#[derive(Debug)]
struct QuestionEntry {
    question: Arc<Question>,
    answer: oneshot::Sender<Option<Answer>>,
    /// The interfaces that have no answer to it.
    dismissed_by: BTreeSet<u64>,
}

/// The registration of an interface, which ends when this is dropped. While no interface is registered, questions get
/// no answer, as without a terminal.
#[derive(Debug)]
pub struct InterfaceGuard {
    questions: Questions,
    number: u64,
}

/// A question that waits for an answer. Settled without one when dropped.
struct OpenQuestion<'a> {
    questions: &'a Questions,
    id: QuestionId,
}

impl Questions {
    pub(crate) fn new(hub: EventHub) -> Self {
        Self { hub, state: Arc::default() }
    }

    /// Registers an interface that can answer questions.
    #[must_use]
    pub fn register_interface(&self) -> InterfaceGuard {
        let mut state = self.state.lock();
        state.last_interface += 1;
        let number = state.last_interface;
        state.interfaces.insert(number);
        drop(state);
        InterfaceGuard { questions: self.clone(), number }
    }

    /// Whether any interface is registered.
    #[must_use]
    pub fn has_interface(&self) -> bool {
        !self.state.lock().interfaces.is_empty()
    }

    /// Answers a question on behalf of all interfaces.
    ///
    /// # Errors
    /// [`AnswerError`]. The question stays open after [`AnswerError::WrongKind`].
    pub fn answer(&self, id: QuestionId, answer: Answer) -> Result<(), AnswerError> {
        let mut state = self.state.lock();
        let open = state.open.get(&id).ok_or(AnswerError::Settled)?;
        if !answer.matches(&open.question) {
            return Err(AnswerError::WrongKind);
        }
        self.settle(&mut state, id, Some(answer));
        Ok(())
    }

    /// Settles a question. Takes the locked state, so that the question's event precedes that of its settlement.
    fn settle(&self, state: &mut QuestionsState, id: QuestionId, answer: Option<Answer>) {
        let Some(open) = state.open.remove(&id) else { return };
        // Fails if the caller has just stopped waiting.
        let _ = open.answer.send(answer);
        self.hub.publish(EventKind::QuestionSettled(id));
    }

    /// Settles the questions that all registered interfaces have dismissed.
    fn settle_dismissed(&self, state: &mut QuestionsState) {
        let interfaces = &state.interfaces;
        let is_dismissed = |open: &QuestionEntry| interfaces.is_subset(&open.dismissed_by);
        let open = state.open.iter();
        let dismissed: Vec<_> =
            open.filter(|(_, open)| is_dismissed(open)).map(|(id, _)| *id).collect();
        for id in dismissed {
            self.settle(state, id, None);
        }
    }

    /// The open questions.
    #[must_use]
    pub fn open(&self) -> Vec<(QuestionId, Arc<Question>)> {
        self.lister()()
    }

    /// A function that lists the open questions and holds no event hub.
    pub(crate) fn lister(
        &self,
    ) -> impl Fn() -> Vec<(QuestionId, Arc<Question>)> + Send + Sync + use<> {
        let state = self.state.clone();
        move || {
            let state = state.lock();
            state.open.iter().map(|(id, open)| (*id, open.question.clone())).collect()
        }
    }

    /// Asks a question; `None` if no interface is registered, or none has an answer.
    pub(crate) async fn ask(&self, question: Question) -> Option<Answer> {
        let question = Arc::new(question);
        let (answer, answered) = oneshot::channel();
        self.hub.wait_for_capacity().await;
        let id = {
            let mut state = self.state.lock();
            if state.interfaces.is_empty() {
                return None;
            }
            state.last_question += 1;
            let id = QuestionId(state.last_question);
            let open =
                QuestionEntry { question: question.clone(), answer, dismissed_by: BTreeSet::new() };
            state.open.insert(id, open);
            // Within the lock, so that nothing can settle the question first.
            self.hub.publish(EventKind::Question(id, question));
            id
        };
        let _asked = OpenQuestion { questions: self, id };
        answered.await.unwrap_or(None)
    }
}

impl InterfaceGuard {
    /// Reports that this interface has no answer. Once all interfaces have done so, the question is settled without
    /// one.
    pub fn dismiss(&self, id: QuestionId) {
        let mut state = self.questions.state.lock();
        if let Some(open) = state.open.get_mut(&id) {
            open.dismissed_by.insert(self.number);
        }
        self.questions.settle_dismissed(&mut state);
    }
}

impl Drop for InterfaceGuard {
    fn drop(&mut self) {
        let mut state = self.questions.state.lock();
        state.interfaces.remove(&self.number);
        self.questions.settle_dismissed(&mut state);
    }
}

impl Drop for OpenQuestion<'_> {
    fn drop(&mut self) {
        self.questions.settle(&mut self.questions.state.lock(), self.id, None);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::timeout;

    use super::*;

    const DEADLINE: Duration = Duration::from_secs(10);

    fn replace() -> Question {
        Question::Replace { path: "a".to_owned(), on_server: false }
    }

    #[tokio::test]
    async fn a_question_without_an_interface_gets_no_answer() {
        let questions = Questions::new(EventHub::default());
        assert_eq!(questions.ask(replace()).await, None);
        let interface = questions.register_interface();
        let asked = questions.ask(replace());
        tokio::pin!(asked);
        assert!(timeout(Duration::ZERO, asked.as_mut()).await.is_err());
        drop(interface);
        assert_eq!(timeout(DEADLINE, asked).await, Ok(None));
    }

    #[tokio::test]
    async fn the_first_answer_of_the_right_kind_settles_a_question() {
        let hub = EventHub::default();
        let mut events = hub.subscribe();
        let questions = Questions::new(hub);
        let interfaces = [questions.register_interface(), questions.register_interface()];
        let answer = async {
            let Some(EventKind::Question(id, _)) = events.next().await.map(|event| event.kind)
            else {
                panic!("no question")
            };
            interfaces[0].dismiss(id);
            interfaces[0].dismiss(id);
            assert_eq!(questions.answer(id, Answer::Trust(true)), Err(AnswerError::WrongKind));
            assert_eq!(questions.answer(id, Answer::Replace(true)), Ok(()));
            assert_eq!(questions.answer(id, Answer::Replace(false)), Err(AnswerError::Settled));
            let settled = events.next().await.map(|event| event.kind);
            assert!(matches!(settled, Some(EventKind::QuestionSettled(other)) if other == id));
        };
        let (answered, ()) = tokio::join!(questions.ask(replace()), answer);
        assert_eq!(answered, Some(Answer::Replace(true)));
        assert!(questions.open().is_empty());
    }

    #[tokio::test]
    async fn a_question_that_all_remaining_interfaces_dismissed_gets_no_answer() {
        let questions = Questions::new(EventHub::default());
        let (remaining, leaving) = (questions.register_interface(), questions.register_interface());
        let asked = questions.ask(replace());
        tokio::pin!(asked);
        assert!(timeout(Duration::ZERO, asked.as_mut()).await.is_err());
        remaining.dismiss(questions.open()[0].0);
        assert!(timeout(Duration::ZERO, asked.as_mut()).await.is_err());
        drop(leaving);
        assert_eq!(timeout(DEADLINE, asked).await, Ok(None));
    }

    #[tokio::test]
    async fn a_question_whose_caller_stops_waiting_is_settled() {
        let hub = EventHub::default();
        let mut events = hub.subscribe();
        let questions = Questions::new(hub);
        let _interface = questions.register_interface();
        assert!(timeout(Duration::ZERO, questions.ask(replace())).await.is_err());
        assert!(matches!(events.next().await.unwrap().kind, EventKind::Question(..)));
        assert!(matches!(events.next().await.unwrap().kind, EventKind::QuestionSettled(_)));
    }
}
