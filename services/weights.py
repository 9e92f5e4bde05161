"""Where a checkpoint comes from: a folder, or a name on the model hub, fetched once with progress, resumed where it was broken off."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path, PurePosixPath

from pipelines.interfaces import StoreUnavailable, WrongRequest

logger = logging.getLogger(__name__)

WANTED = ("*.json", "*.txt", "*.model")  # beside the weights: configuration and tokenizer
FORMS = ("*.safetensors", "*.bin")  # the first that is there; never pickled code beside it


@dataclass(frozen=True, slots=True)
class HubName:
    """`owner/name[@revision][:folder]`, main and the top where they are left out. The release: sy1998/Video_XL:VideoXL_weight_8."""

    repository: str
    revision: str
    folder: str

    @classmethod
    def parse(cls, text: str) -> HubName | None:
        """None where the text cannot be a name on the hub."""
        head, _, folder = text.partition(":")
        repository, _, revision = head.partition("@")
        parts = repository.split("/")
        if len(parts) != 2 or not all(parts) or any(part.startswith((".", "~")) for part in parts) or ".." in folder:
            return None
        return cls(repository, revision or "main", folder.strip("/"))


def checkpoint_folder(where: str) -> Path:
    """The folder itself, or the hub's files in its cache. Raises WrongRequest, StoreUnavailable."""
    if (folder := Path(where).expanduser()).is_dir():
        return folder
    if folder.is_file():
        raise WrongRequest(f"{where} is a file; give the folder in which config.json and the weights lie")
    if (name := HubName.parse(where)) is None:
        raise WrongRequest(f"there is no folder {where}, and it is no name on the model hub either (owner/name[@revision][:folder])")
    return fetched(name)


def fetched(name: HubName) -> Path:
    """Fetch what is not in the hub's cache yet; what has come half is gone on with."""
    from huggingface_hub import HfApi, snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError, RepositoryNotFoundError, RevisionNotFoundError

    try:
        files = HfApi().list_repo_files(name.repository, revision=name.revision)
        return Path(snapshot_download(name.repository, revision=name.revision, allow_patterns=wanted(files, name))) / name.folder
    except (RepositoryNotFoundError, RevisionNotFoundError) as error:
        raise WrongRequest(f"the model hub has no {name.repository} at {name.revision}, or shows it only to those who log in") from error
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError) as error:
        return _from_cache(name, error)
    except Exception as error:
        if type(error).__module__.split(".")[0] in ("httpx", "httpcore", "requests"):
            return _from_cache(name, error)
        raise


def _from_cache(name: HubName, reason: Exception) -> Path:
    """What an earlier fetch brought, where the hub does not answer now; a part that is missing is named when the folder is opened."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    try:
        folder = Path(snapshot_download(name.repository, revision=name.revision, local_files_only=True)) / name.folder
    except LocalEntryNotFoundError:
        raise _unreachable(name, reason) from reason
    if not (folder / "config.json").is_file():
        raise _unreachable(name, reason) from reason
    logger.warning("the model hub cannot be reached; taken from the cache: %s", folder)
    return folder


def wanted(files: Sequence[str], name: HubName) -> list[str]:
    """Of a repository's files those of the one checkpoint that is meant: nothing of folders beside or below it, one form of weights."""
    own = [file for file in files if PurePosixPath(file).parent == PurePosixPath(name.folder or ".")]
    form = next((form for form in FORMS if any(fnmatch(file, form) for file in own)), None)
    if form is None or f"{name.folder}/config.json".lstrip("/") not in own:
        raise WrongRequest(f"{name.repository} holds no checkpoint at {name.folder or 'its top'}; name its folder: owner/name:folder")
    return [file for file in own if any(fnmatch(file, pattern) for pattern in (*WANTED, form))]


def _unreachable(name: HubName, error: Exception) -> StoreUnavailable:
    reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
    return StoreUnavailable(
        f"the model hub cannot be reached to fetch {name.repository} ({reason[:200]}); what has come so far is kept, and the same command "
        "goes on; or copy the files into a folder and give that as --checkpoint"
    )
