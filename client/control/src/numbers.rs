//! The numbers by which a person names transfers, over all processes. A number is not used again while a process with a
//! socket runs, or soon after, so that it means the same transfer while somebody types it.

use std::collections::BTreeMap;
use std::io::{self, Read as _, Seek as _, Write as _};

use crate::socket_folder::{LockedFolder, NUMBER_FILE, SocketFolder};
use crate::view::TransferView;

/// The numbers of the transfers of this process, by name. They are drawn when another process looks for the first time.
#[derive(Debug, Default)]
pub(crate) struct TransferNumbers(BTreeMap<String, u64>);

impl TransferNumbers {
    /// Sets the numbers of transfers that run, and draws those that are missing. A transfer whose number cannot be drawn
    /// has none.
    pub(crate) async fn set(&mut self, folder: &SocketFolder, transfers: &mut [TransferView]) {
        self.0.retain(|name, _| transfers.iter().any(|view| view.transfer == *name));
        let is_missing = |view: &TransferView, numbers: &BTreeMap<String, u64>| {
            !view.state.is_over() && !numbers.contains_key(&view.transfer)
        };
        let missing: Vec<_> = transfers
            .iter()
            .filter(|view| is_missing(view, &self.0))
            .map(|view| view.transfer.clone())
            .collect();
        if !missing.is_empty()
            && let Ok(locked) = folder.lock().await
            && let Ok(first) = draw(&locked, missing.len() as u64)
        {
            self.0.extend(missing.into_iter().zip(first..));
        }
        for view in transfers {
            view.number = self.0.get(&view.transfer).copied();
        }
    }
}

/// Draws consecutive numbers. Returns the first.
fn draw(folder: &LockedFolder<'_>, count: u64) -> io::Result<u64> {
    let mut file = folder.files().open_file(NUMBER_FILE)?;
    let mut text = String::new();
    // A u64 has at most 20 digits.
    (&mut file).take(20).read_to_string(&mut text)?;
    let last: u64 = text.trim().parse().unwrap_or(0);
    let next = last.checked_add(count).unwrap_or(count);
    file.rewind()?;
    file.set_len(0)?;
    file.write_all(next.to_string().as_bytes())?;
    Ok(next - count + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn numbers_are_consecutive_until_they_start_again() {
        let root = tempfile::tempdir().unwrap();
        let folder = SocketFolder::create(&root.path().join("quiver")).unwrap();
        let locked = folder.lock().await.unwrap();
        assert_eq!(draw(&locked, 2).unwrap(), 1);
        assert_eq!(draw(&locked, 1).unwrap(), 3);
        assert_eq!(draw(&locked, 1).unwrap(), 4);
        drop(locked);
        // Somebody may be typing one of them.
        let socket = folder.listen().await.unwrap();
        assert_eq!(draw(&socket.folder().lock().await.unwrap(), 1).unwrap(), 5);
        drop(socket);
        let path = root.path().join("quiver");
        let file = std::fs::File::options().write(true).open(path.join(NUMBER_FILE)).unwrap();
        file.set_modified(std::time::SystemTime::UNIX_EPOCH).unwrap();
        let socket = SocketFolder::create(&path).unwrap().listen().await.unwrap();
        assert_eq!(draw(&socket.folder().lock().await.unwrap(), 1).unwrap(), 1);
    }

    #[tokio::test]
    async fn a_damaged_file_starts_again() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("quiver");
        let folder = SocketFolder::create(&path).unwrap();
        let locked = folder.lock().await.unwrap();
        for text in ["", "x", "-3", "99999999999999999999", &u64::MAX.to_string()] {
            std::fs::write(path.join(NUMBER_FILE), text).unwrap();
            assert_eq!(draw(&locked, 1).unwrap(), 1, "{text}");
            assert_eq!(draw(&locked, 1).unwrap(), 2, "{text}");
        }
    }
}
