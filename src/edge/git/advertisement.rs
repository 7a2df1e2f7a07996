//! What a remote says it has, from the bytes of its first answer. Pure.
//!
//! libgit2 keeps the same list, but its names are read by a library that ends the thread at one that is not
//! UTF-8, and whoever may push a branch chooses its name.

use git2::Oid;

/// A reference of the remote's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) name: String,
    /// What it names; of a tag with a message, the tag.
    pub(super) id: Oid,
}

/// The references that can be followed. Names that are not UTF-8 can't be asked for and are left out, and so are what
/// tags point to (`^{}`) and the line that an empty repository has in place of references.
pub(super) fn heads(mut bytes: &[u8]) -> Vec<Head> {
    let mut heads = Vec::new();
    while let Some((line, rest)) = packet(bytes) {
        bytes = rest;
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        let (reference, _capabilities) =
            line.split_at(line.iter().position(|byte| *byte == 0).unwrap_or(line.len()));
        let Some((id, name)) = reference.split_at_checked(40) else {
            continue;
        };
        let (Ok(id), Some(Ok(name))) = (
            std::str::from_utf8(id),
            name.strip_prefix(b" ").map(std::str::from_utf8),
        ) else {
            continue;
        };
        if let Ok(id) = Oid::from_str(id)
            && !name.ends_with("^{}")
        {
            heads.push(Head {
                name: name.to_owned(),
                id,
            });
        }
    }
    heads
}

/// The first packet of some bytes, and what follows. A flush is an empty packet.
fn packet(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, _) = bytes.split_at_checked(4)?;
    let length = usize::from_str_radix(std::str::from_utf8(length).ok()?, 16).ok()?;
    // 0 is a flush, and 1 to 3 are other marks without content.
    let (packet, rest) = bytes.split_at_checked(length.max(4))?;
    Some((&packet[4..], rest))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ID: &str = "0123456789abcdef0123456789abcdef01234567";

    fn line(content: &[u8]) -> Vec<u8> {
        [format!("{:04x}", content.len() + 4).as_bytes(), content].concat()
    }

    #[test]
    fn references_are_read_and_what_can_not_be_asked_for_is_left_out() {
        let bytes = [
            line(b"# service=git-upload-pack\n"),
            b"0000".to_vec(),
            line(format!("{ID} HEAD\0multi_ack symref=HEAD:refs/heads/main\n").as_bytes()),
            line(&[ID.as_bytes(), b" refs/heads/caf\xe9\n"].concat()),
            line(format!("{ID} refs/heads/main\n").as_bytes()),
            line(format!("{ID} refs/tags/v1\n").as_bytes()),
            line(format!("{ID} refs/tags/v1^{{}}\n").as_bytes()),
            line(format!("shallow {ID}").as_bytes()),
            b"0000".to_vec(),
        ];
        let names: Vec<String> = heads(&bytes.concat()).into_iter().map(|head| head.name).collect();
        assert_eq!(names, ["HEAD", "refs/heads/main", "refs/tags/v1"]);
    }

    #[test]
    fn an_empty_repository_has_no_reference() {
        let bytes = line(format!("{} capabilities^{{}}\0agent=x\n", Oid::ZERO_SHA1).as_bytes());
        assert_eq!(heads(&bytes), []);
    }

    proptest! {
        #[test]
        fn whatever_a_remote_sends_is_read_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            heads(&bytes);
            heads(&line(&bytes));
        }
    }
}
