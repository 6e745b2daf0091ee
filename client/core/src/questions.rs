//! Open questions: the first interface to answer settles one, and the others see it settled.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::oneshot;

use crate::event::{EventHub, EventKind};
use crate::question::{Answer, AnswerError, Question, QuestionId};

/// Open questions, and who can be asked. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Questions {
    hub: EventHub,
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    last: u64,
    attendants: usize,
    open: BTreeMap<QuestionId, Open>,
}

#[derive(Debug)]
struct Open {
    question: Arc<Question>,
    answer: oneshot::Sender<Option<Answer>>,
    /// Interfaces that have no answer.
    dismissals: usize,
}

/// An interface that can be asked, for as long as this is held. While there is none, questions are answered as off a
/// terminal: not at all.
#[derive(Debug)]
pub struct Attendant(Questions);

/// A question that was asked; settled when dropped.
struct Asked<'a> {
    questions: &'a Questions,
    id: QuestionId,
}

impl Questions {
    pub(crate) fn new(hub: EventHub) -> Self {
        Self { hub, state: Arc::default() }
    }

    /// From now on there is one more interface that can be asked.
    #[must_use]
    pub fn attend(&self) -> Attendant {
        self.state.lock().attendants += 1;
        Attendant(self.clone())
    }

    /// Whether any interface can be asked.
    #[must_use]
    pub fn is_attended(&self) -> bool {
        self.state.lock().attendants > 0
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
        let Some(open) = state.open.remove(&id) else { return Err(AnswerError::Settled) };
        drop(state);
        // Nothing waits any more where the question was given up a moment ago.
        let _ = open.answer.send(Some(answer));
        self.hub.publish(EventKind::QuestionSettled(id));
        Ok(())
    }

    /// Says that an interface has no answer: once all have said so, there is none.
    pub fn dismiss(&self, id: QuestionId) {
        let mut state = self.state.lock();
        let attendants = state.attendants;
        let Some(open) = state.open.get_mut(&id) else { return };
        open.dismissals += 1;
        if open.dismissals < attendants {
            return;
        }
        let open = state.open.remove(&id);
        drop(state);
        if let Some(open) = open {
            // Nothing waits any more where the question was given up a moment ago.
            let _ = open.answer.send(None);
            self.hub.publish(EventKind::QuestionSettled(id));
        }
    }

    /// The questions that wait for an answer.
    #[must_use]
    pub fn open(&self) -> Vec<(QuestionId, Arc<Question>)> {
        let state = self.state.lock();
        state.open.iter().map(|(id, open)| (*id, open.question.clone())).collect()
    }

    /// Asks; `None` where no interface can be asked, or none has an answer.
    pub(crate) async fn ask(&self, question: Question) -> Option<Answer> {
        let question = Arc::new(question);
        let (answer, answered) = oneshot::channel();
        let id = {
            let mut state = self.state.lock();
            if state.attendants == 0 {
                return None;
            }
            state.last += 1;
            let id = QuestionId(state.last);
            state.open.insert(id, Open { question: question.clone(), answer, dismissals: 0 });
            id
        };
        let _asked = Asked { questions: self, id };
        self.hub.publish_in_turn(EventKind::Question(id, question)).await;
        answered.await.unwrap_or(None)
    }
}

impl Drop for Attendant {
    fn drop(&mut self) {
        let mut state = self.0.state.lock();
        state.attendants -= 1;
        let nobody_left = state.attendants == 0;
        let open = if nobody_left { std::mem::take(&mut state.open) } else { BTreeMap::new() };
        drop(state);
        for (id, open) in open {
            // As above.
            let _ = open.answer.send(None);
            self.0.hub.publish(EventKind::QuestionSettled(id));
        }
    }
}

impl Drop for Asked<'_> {
    fn drop(&mut self) {
        let was_open = self.questions.state.lock().open.remove(&self.id).is_some();
        if was_open {
            self.questions.hub.publish(EventKind::QuestionSettled(self.id));
        }
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
        let attendant = questions.attend();
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
        let _attendants = [questions.attend(), questions.attend()];
        let answer = async {
            let Some(EventKind::Question(id, _)) = events.next().await.map(|event| event.kind)
            else {
                panic!("no question")
            };
            questions.dismiss(id);
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
    async fn a_question_that_is_given_up_is_settled() {
        let hub = EventHub::default();
        let mut events = hub.subscribe();
        let questions = Questions::new(hub);
        let _attendant = questions.attend();
        assert!(timeout(Duration::ZERO, questions.ask(replace())).await.is_err());
        assert!(matches!(events.next().await.unwrap().kind, EventKind::Question(..)));
        assert!(matches!(events.next().await.unwrap().kind, EventKind::QuestionSettled(_)));
    }
}
