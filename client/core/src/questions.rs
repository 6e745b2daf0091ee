//! Open questions: the first interface to answer settles one, and the others see it settled.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::oneshot;

use crate::event::{EventHub, EventKind};
use crate::question::{Answer, AnswerError, Question, QuestionId};

/// Open questions, and who can be asked. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Questions {
    hub: EventHub,
    state: Arc<Mutex<QuestionsState>>,
}

#[derive(Debug, Default)]
struct QuestionsState {
    last: u64,
    last_attendant: u64,
    /// The interfaces that can be asked.
    attendants: BTreeSet<u64>,
    open: BTreeMap<QuestionId, QuestionEntry>,
}

#[derive(Debug)]
struct QuestionEntry {
    question: Arc<Question>,
    answer: oneshot::Sender<Option<Answer>>,
    /// The interfaces that have no answer.
    dismissed_by: BTreeSet<u64>,
}

/// An interface that can be asked, for as long as this is held. While there is none, questions are answered as off a
/// terminal: not at all.
#[derive(Debug)]
pub struct InterfaceGuard {
    questions: Questions,
    number: u64,
}

/// A question that was asked; settled when dropped.
struct OpenQuestion<'a> {
    questions: &'a Questions,
    id: QuestionId,
}

impl Questions {
    pub(crate) fn new(hub: EventHub) -> Self {
        Self { hub, state: Arc::default() }
    }

    /// From now on there is one more interface that can be asked.
    #[must_use]
    pub fn register_interface(&self) -> InterfaceGuard {
        let mut state = self.state.lock();
        state.last_attendant += 1;
        let number = state.last_attendant;
        state.attendants.insert(number);
        drop(state);
        InterfaceGuard { questions: self.clone(), number }
    }

    /// Whether any interface can be asked.
    #[must_use]
    pub fn has_interface(&self) -> bool {
        !self.state.lock().attendants.is_empty()
    }

    /// Answers a question, for all interfaces.
    ///
    /// # Errors
    /// [`AnswerError`]; the question is still open after [`AnswerError::OtherKind`].
    pub fn answer(&self, id: QuestionId, answer: Answer) -> Result<(), AnswerError> {
        let mut state = self.state.lock();
        let open = state.open.get(&id).ok_or(AnswerError::Settled)?;
        if !answer.fits(&open.question) {
            return Err(AnswerError::OtherKind);
        }
        self.settle(&mut state, id, Some(answer));
        Ok(())
    }

    /// Within the lock, so that a question is told before it is settled.
    fn settle(&self, state: &mut QuestionsState, id: QuestionId, answer: Option<Answer>) {
        let Some(open) = state.open.remove(&id) else { return };
        // Nothing waits any more where the question was given up a moment ago.
        let _ = open.answer.send(answer);
        self.hub.publish(EventKind::QuestionSettled(id));
    }

    /// Settles questions to which no interface has an answer.
    fn settle_dismissed(&self, state: &mut QuestionsState) {
        let attendants = &state.attendants;
        let is_dismissed = |open: &QuestionEntry| attendants.is_subset(&open.dismissed_by);
        let open = state.open.iter();
        let dismissed: Vec<_> =
            open.filter(|(_, open)| is_dismissed(open)).map(|(id, _)| *id).collect();
        for id in dismissed {
            self.settle(state, id, None);
        }
    }

    /// The questions that wait for an answer.
    #[must_use]
    pub fn open(&self) -> Vec<(QuestionId, Arc<Question>)> {
        self.lister()()
    }

    /// Lists them without a way to publish anything.
    pub(crate) fn lister(
        &self,
    ) -> impl Fn() -> Vec<(QuestionId, Arc<Question>)> + Send + Sync + use<> {
        let state = self.state.clone();
        move || {
            let state = state.lock();
            state.open.iter().map(|(id, open)| (*id, open.question.clone())).collect()
        }
    }

    /// Asks; `None` where no interface can be asked, or none has an answer.
    pub(crate) async fn ask(&self, question: Question) -> Option<Answer> {
        let question = Arc::new(question);
        let (answer, answered) = oneshot::channel();
        self.hub.room().await;
        let id = {
            let mut state = self.state.lock();
            if state.attendants.is_empty() {
                return None;
            }
            state.last += 1;
            let id = QuestionId(state.last);
            let open =
                QuestionEntry { question: question.clone(), answer, dismissed_by: BTreeSet::new() };
            state.open.insert(id, open);
            // Within the lock: before anything can settle it.
            self.hub.publish(EventKind::Question(id, question));
            id
        };
        let _asked = OpenQuestion { questions: self, id };
        answered.await.unwrap_or(None)
    }
}

impl InterfaceGuard {
    /// Says that this interface has no answer: once all have said so, there is none.
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
        state.attendants.remove(&self.number);
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
    async fn without_an_interface_there_is_no_answer() {
        let questions = Questions::new(EventHub::default());
        assert_eq!(questions.ask(replace()).await, None);
        let attendant = questions.register_interface();
        let asked = questions.ask(replace());
        tokio::pin!(asked);
        assert!(timeout(Duration::ZERO, asked.as_mut()).await.is_err());
        drop(attendant);
        assert_eq!(timeout(DEADLINE, asked).await, Ok(None));
    }

    #[tokio::test]
    async fn the_first_answer_of_its_kind_settles_a_question() {
        let hub = EventHub::default();
        let mut events = hub.subscribe();
        let questions = Questions::new(hub);
        let attendants = [questions.register_interface(), questions.register_interface()];
        let answer = async {
            let Some(EventKind::Question(id, _)) = events.next().await.map(|event| event.kind)
            else {
                panic!("no question")
            };
            attendants[0].dismiss(id);
            attendants[0].dismiss(id);
            assert_eq!(questions.answer(id, Answer::Trust(true)), Err(AnswerError::OtherKind));
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
    async fn where_no_interface_that_stays_has_an_answer_there_is_none() {
        let questions = Questions::new(EventHub::default());
        let (stays, leaves) = (questions.register_interface(), questions.register_interface());
        let asked = questions.ask(replace());
        tokio::pin!(asked);
        assert!(timeout(Duration::ZERO, asked.as_mut()).await.is_err());
        stays.dismiss(questions.open()[0].0);
        assert!(timeout(Duration::ZERO, asked.as_mut()).await.is_err());
        drop(leaves);
        assert_eq!(timeout(DEADLINE, asked).await, Ok(None));
    }

    #[tokio::test]
    async fn a_question_that_is_given_up_is_settled() {
        let hub = EventHub::default();
        let mut events = hub.subscribe();
        let questions = Questions::new(hub);
        let _attendant = questions.register_interface();
        assert!(timeout(Duration::ZERO, questions.ask(replace())).await.is_err());
        assert!(matches!(events.next().await.unwrap().kind, EventKind::Question(..)));
        assert!(matches!(events.next().await.unwrap().kind, EventKind::QuestionSettled(_)));
    }
}
