use std::fs;

use super::*;
use crate::failure::Exit;

fn order(folder: &Path, paths: &[&str]) -> cli::Get {
    cli::Get {
        paths: paths.iter().map(|path| (*path).to_owned()).collect(),
        output: folder.to_owned(),
        many: cli::Many::default(),
        overwrite: false,
        json: false,
        no_resume: false,
        hold: cli::Hold { patience: 0 },
        limit: None,
    }
}

async fn prepared(arguments: &cli::Get) -> Result<Order, Failure> {
    Order::prepare(arguments, NOBODY).await
}

#[tokio::test]
async fn a_file_goes_to_the_last_part_of_what_was_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let order = prepared(&order(folder.path(), &["a/b/-rf", "with space.txt"])).await.unwrap();
    let names = order.items().iter().map(|item| match &item.place {
        Place::File(target, _) => target.name.as_str(),
        Place::Stdout => "-",
    });
    assert_eq!(names.collect::<Vec<_>>(), ["-rf", "with space.txt"]);
}

#[tokio::test]
async fn what_cannot_be_stored_is_refused_before_it_is_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("taken"), "").unwrap();
    fs::create_dir(folder.path().join("folder")).unwrap();
    let missing = folder.path().join("missing");
    for (arguments, exit) in [
        (order(folder.path(), &["a/x", "b/x"]), Exit::Usage),
        (order(folder.path(), &["../x"]), Exit::NotFound),
        (order(folder.path(), &["a/"]), Exit::NotFound),
        (order(folder.path(), &["free", "taken"]), Exit::Disk),
        (order(folder.path(), &["folder"]), Exit::Disk),
        (order(folder.path(), &[".quiver-0123456789abcdef.part"]), Exit::Disk),
        (order(&missing, &["x"]), Exit::Disk),
    ] {
        let failure = prepared(&arguments).await.unwrap_err();
        assert_eq!(failure.exit(), exit, "{:?}: {failure}", arguments.paths);
    }
    let mut overwriting = order(folder.path(), &["taken"]);
    overwriting.overwrite = true;
    assert_eq!(prepared(&overwriting).await.unwrap().asked(), 1);
}

#[tokio::test]
async fn what_a_person_wants_to_keep_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("a"), "").unwrap();
    fs::write(folder.path().join("b"), "").unwrap();
    let answer = async |question: &str| Ok(question.contains("/b exists"));
    let order = Order::prepare(&order(folder.path(), &["a", "b"]), Some(answer)).await.unwrap();
    assert_eq!(order.kept, [folder.path().join("a")]);
    assert_eq!((order.items().len(), order.asked()), (1, 2));
}
