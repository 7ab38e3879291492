"""The data types of a run, in pipeline order. Read this file first.

folder -> pictures -> embeddings -> scores -> decisions -> plan -> apply -> report

Every path is an absolute `str` as `os.fsdecode` gives it: a name that is no valid UTF-8 has lone
surrogates and goes back to the same bytes through `os.fsencode`. A record never changes once it is
made, and identity travels with its row: `scores.pictures[i]` is row i of every array in `scores`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

Vectors: TypeAlias = npt.NDArray[np.float32]  # (N, D), each row of length 1
Pixels: TypeAlias = npt.NDArray[np.float32]  # (N, 3, H, W), normalised as the model wants it

OTHER = "other"  # the shelf of what fits no label

ActionKind: TypeAlias = str  # a key of `actions.kinds.KINDS`: "copy", "move", ...
Confidence: TypeAlias = Literal["sure", "likely", "unsure"]
# what is done, how much so far, of how many (0 if the total is unknown)
Progress: TypeAlias = Callable[[str, int, int], None]


# --- folder -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Picture:
    """A file that begins as a picture does. Only its first bytes were read so far."""

    path: str
    format: str  # as Pillow names it: "JPEG", "PNG", "HEIF", ...
    size: int  # bytes
    mtime_ns: int
    ctime_ns: int
    companions: tuple[str, ...] = ()  # files that go where the picture goes: sidecars, RAW, MOV
    shared: tuple[str, ...] = ()  # companions of another picture that are about this one too


@dataclass(frozen=True, slots=True)
class Skipped:
    """A file that should have been a picture and could not be used. Never a gap in an array."""

    path: str
    reason: str  # one line, for the user


@dataclass(frozen=True, slots=True)
class Ignored:
    """What a scan passed by, counted: the most frequent first."""

    not_pictures: Mapping[str, int] = field(default_factory=dict)  # kind -> files: "MTS video": 3
    left_out: Mapping[str, int] = field(default_factory=dict)  # reason -> files and folders


@dataclass(frozen=True, slots=True)
class Folder:
    """What a scan found below `root`, in the order of the paths' bytes."""

    root: str
    pictures: tuple[Picture, ...]
    skipped: tuple[Skipped, ...] = ()
    ignored: Ignored = field(default_factory=Ignored)
    warnings: tuple[str, ...] = ()  # for the user, before the pictures are read

    @property
    def not_pictures(self) -> int:
        """How many files are no pictures, by file type, and left where they are."""
        return sum(self.ignored.not_pictures.values())

    @property
    def left_out(self) -> int:
        """How many files and folders are excluded, hidden, or of an earlier run's output."""
        return sum(self.ignored.left_out.values())


# --- labels -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Label:
    """One shelf. `name` is the label that the user wrote, and names the shelf's folder."""

    name: str
    words: tuple[str, ...] = ()  # synonyms and sub-labels that mean this shelf too
    prompts: tuple[str, ...] = ()  # whole sentences, used as they are
    threshold: float | None = None  # the least probability, if someone insists


@dataclass(frozen=True, slots=True)
class LabelSet:
    labels: tuple[Label, ...]
    kind: str | None = None  # "bird" in "a photo of a jay, a type of bird."
    templates: tuple[str, ...] = ()  # the user's own prompt templates, each with one "{}"
    negatives: tuple[str, ...] = ()  # "!cartoon": what is surely on no shelf
    language: str = "en"  # ISO 639-1, of the labels: which templates speak it

    def __len__(self) -> int:
        return len(self.labels)

    def __iter__(self) -> Iterator[Label]:
        return iter(self.labels)

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(label.name for label in self.labels)


@dataclass(frozen=True, slots=True)
class Synset:
    """One sense of a noun in WordNet 3.0, with all words for it."""

    row: int  # its line in data/negative_labels/wordnet.tsv.gz
    lexname: str  # its category, WordNet's lexicographer file: "animal", "artifact", "act", ...
    lemmas: tuple[str, ...]  # the words, the commonest first
    above: tuple[int, ...]  # rows of the hypernyms: what it is a kind of
    wholes: tuple[int, ...]  # rows of what it is a part, a member or a substance of
    gloss: str  # the definition, cut at 110 characters


@dataclass(frozen=True, slots=True)
class ResolvedWord:
    """One word of a label, looked up."""

    text: str  # its dictionary form: without frame and article, in English in the singular
    sense: Synset | None  # the sense that is meant; None where WordNet has none that fits
    in_wordnet: bool  # whether WordNet has it as a noun, if only as a proper name


@dataclass(frozen=True, slots=True)
class ResolvedLabel:
    """A label with everything that is looked up for it, before any picture is scored."""

    label: Label
    phrase: str  # what its name asks for, as the user wrote it: "red pandas"
    phrase_senses: tuple[Synset, ...]  # every sense of `phrase` in WordNet, the commonest first
    words: tuple[ResolvedWord, ...]  # its name, then each of `label.words`
    context: frozenset[int]  # rows of the synsets that the shelf above it and the set's kind name
    synonyms: tuple[str, ...]  # commoner words for the name's sense, from WordNet
    glosses: tuple[str, ...]  # texts that explain the name's sense
    own_prompts: tuple[tuple[str, ...], ...]  # a group per word of the user's, and per own prompt
    prompts: tuple[tuple[str, ...], ...]  # those that are scored: with the synonyms and glosses

    @property
    def name(self) -> str:
        return self.label.name


@dataclass(frozen=True, slots=True)
class ResolvedLabels:
    """A label set, resolved once for a run by labels/resolve.py; row i is label i of the set."""

    labels: LabelSet
    each: tuple[ResolvedLabel, ...]

    def __len__(self) -> int:
        return len(self.each)

    def __iter__(self) -> Iterator[ResolvedLabel]:
        return iter(self.each)


# --- model --------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Preprocessing:
    """How a picture becomes pixels: read from the model's own files, nothing guessed."""

    size: int  # the square's side, in pixels
    resize_mode: Literal["shortest", "squash"]  # shortest side to `size` and centre crop, or both
    interpolation: Literal["bicubic", "bilinear", "nearest", "lanczos"]
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    crop: Literal["round", "floor"] = "round"  # where the middle begins: torchvision, transformers


@dataclass(frozen=True, slots=True)
class Calibration:
    """The constants of the open-set decision for one model. Logits differ in level and spread
    between models, so that one model's values do not suit another.

    The OOD score and both temperatures are in logits (decisions/decide.py has the formulas). The
    default values are a compromise for a model that was never calibrated.
    """

    ood_threshold: float = -1.6  # OOD score at which an image fits with a probability of one half
    ood_temperature: float = 1.5  # of the sigmoid over the OOD score
    label_temperature: float = 1.0  # of the softmax over the labels
    typical_logit: float | None = None  # median image's mean negative logit; None: the folder's own
    origin: Literal["default", "transferred", "measured"] = "default"
    source: str = ""  # how the values were obtained: "starter on 300 pictures"


@dataclass(frozen=True, slots=True)
class Model:
    """A two-tower model as a row of data."""

    id: str  # "starter", or a catalogue id, or a folder's path
    folder: Path
    digest: str  # of the weights and all that shapes an embedding: the cache's key
    dim: int
    preprocessing: Preprocessing
    context_length: int
    logit_scale: float  # a logit is this times a cosine; a bias would cancel out of every score
    languages: tuple[str, ...]  # ISO 639-1
    licence: str


class Encoder(Protocol):
    """Both towers together, so that they can't come from two models."""

    @property
    def model(self) -> Model: ...

    @property
    def device(self) -> str | None:
        """Where pictures were embedded: "cpu", "cuda", ...; None as long as none were."""
        ...

    @property
    def batch_size(self) -> int:
        """How many pictures a worker gives at once: few on a CPU, many on an accelerator."""
        ...

    def embed_pictures(self, pixels: Pixels) -> Vectors:
        """(N, 3, size, size) -> (N, dim), rows of length 1. Called from several threads at once."""
        ...

    def embed_texts(self, texts: Sequence[str]) -> Vectors:
        """N texts -> (N, dim), rows of length 1."""
        ...


@dataclass(frozen=True, slots=True)
class Request:
    """What a run was asked to do. The same request, embeddings, corrections and calibration of the
    model always give the same decisions."""

    folder: str
    labels: LabelSet
    model: str  # its id
    threshold: float | None = None
    offset: float = 0.0  # logits added to every picture's score: above 0, fewer go to "other"


# --- embeddings, scores, decisions --------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Embeddings:
    pictures: tuple[Picture, ...]
    digests: tuple[bytes, ...]  # BLAKE3 of each picture's content, 32 bytes
    vectors: npt.NDArray[np.float16]  # (N, D), each row of length 1; half the memory of float32
    skipped: tuple[Skipped, ...]  # those of the folder and those that failed to decode
    model: Model
    notes: Mapping[int, str] = field(
        default_factory=dict
    )  # row -> "cut short: ...", or a quality problem
    ignored: Ignored = field(default_factory=Ignored)  # what the scan passed by

    def __len__(self) -> int:
        return len(self.pictures)

    def some(self, rows: Iterable[int]) -> Embeddings:
        """Those rows, in that order."""
        at = [int(row) for row in rows]
        return Embeddings(
            pictures=tuple(self.pictures[row] for row in at),
            digests=tuple(self.digests[row] for row in at),
            vectors=self.vectors[at],
            skipped=self.skipped,
            model=self.model,
            notes={new: self.notes[old] for new, old in enumerate(at) if old in self.notes},
            ignored=self.ignored,
        )


@dataclass(frozen=True, slots=True)
class Smoothing:
    """Which images of one folder are similar. Does not depend on the labels
    (decisions/smoothing.py)."""

    neighbours: npt.NDArray[np.int32]  # (N, S), rows of each image's nearest neighbours
    cosines: npt.NDArray[np.float32]  # (N, S), between embeddings centred on the folder's mean
    coordinates: npt.NDArray[np.float16]  # (N, R), each image on the folder's principal axes


@dataclass(frozen=True, slots=True)
class NegativeCandidates:
    """The nearest negative labels of each image before the negative filter. Does not depend on the
    labels."""

    rows: npt.NDArray[np.int32]  # (N, M), in the unfiltered list of negative labels
    cosines: npt.NDArray[np.float32]  # (N, M)


@dataclass(frozen=True, slots=True)
class Scores:
    """What the model says, before anything is decided. Logits are normalised per text
    (decisions/scores.py)."""

    pictures: tuple[Picture, ...]  # empty where vectors were scored that belong to no file
    resolved: ResolvedLabels
    logits: npt.NDArray[np.float32]  # (N, K), each label's best over its own words
    negative_score: npt.NDArray[np.float32]  # (N,), mean logit of the five nearest negatives
    nearest_negatives: npt.NDArray[np.int32]  # (N, 3), in `negative_names`, nearest first
    negative_names: tuple[str, ...]  # of the negative labels after the filter, as shown to users
    model: Model
    mean_negative_logit: npt.NDArray[np.float32] | None = None  # (N,), over all negative labels
    smoothing: Smoothing | None = None  # None: each image is decided on its own
    candidates: NegativeCandidates | None = None  # kept for scoring under other labels

    @property
    def labels(self) -> LabelSet:
        return self.resolved.labels


@dataclass(frozen=True, slots=True)
class Decision:
    """What was decided for one image, beside what the model said."""

    picture: Picture
    label: str  # a label's name, or OTHER
    top_label: str  # the label that fits best, also where `label` is OTHER
    probability: float  # of `label`, P(label) or P(other)
    margin: float  # between the best label's probability and the next best answer's
    confidence: Confidence
    reason: str  # one line, for the user
    top: tuple[tuple[str, float], ...]  # the five best labels with P(label)
    looks_like: str | None  # the nearest negative, where `label` is OTHER


# --- corrections --------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Correction:
    """The label that the user gave to one picture."""

    label: str  # a label's name, or OTHER
    vector: npt.NDArray[np.float16]  # (D,), of length 1: neither file nor cache is needed any more


@dataclass(frozen=True, slots=True)
class Corrections:
    """All corrections of a run: those that change other pictures too, and those that do not.

    None is ever dropped: a correction to a label that the run does not have is followed again as
    soon as the run has that label. A digest is the BLAKE3 hash of a picture's content in hex, so
    that a correction applies wherever the file lies; a path is as in `Picture`.
    """

    stored: Mapping[str, Correction] = field(default_factory=dict)  # digest -> from earlier runs
    given: Mapping[str, Correction] = field(default_factory=dict)  # digest -> given in this run
    reviewed: Mapping[str, str] = field(default_factory=dict)  # path -> label, on the review page
    accepted: Mapping[str, str] = field(default_factory=dict)  # path -> label, from a suggestion

    @property
    def followed(self) -> Mapping[str, Correction]:
        """Those that the decisions about other pictures are adapted to, digest -> correction. One
        given in this run replaces a stored one about the same content."""
        return {**self.stored, **self.given}


# --- plan, apply --------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Action:
    """One file to one place. Nothing here has happened yet.

    Of a "tag" the target is the picture's sidecar, or the picture itself, and the label is the
    whole tag, a line each where there are several. Of an "untag" source and target are the sidecar
    or the picture, and the label is the prefix of the tags that go. Of a "remove" the target is
    what an earlier run made of the source, and is removed (actions/kinds/remove.py).
    """

    kind: ActionKind
    source: str
    target: str
    label: str
    size: int  # of the source when the plan was made, with the next two: what changed is refused
    mtime_ns: int
    digest: bytes | None = None  # BLAKE3 of the content, where it is known
    companion_of: str | None = None  # the source of the picture with which this file stays
    made_by: ActionKind | None = None  # of a remove: how the earlier run made the target
    made_in: str | None = None  # of a remove: that run's id
    instead_of: str | None = None  # of a tag: tags of earlier runs that go, a line each


@dataclass(frozen=True, slots=True)
class PlanRequest:
    """What a plan is to do, as the user asked for it. The rules on what goes together are in
    `actions/plan_request.py`."""

    folder: str  # of the pictures
    destination: str | None  # the folder for the shelves; None: the action needs none
    action: ActionKind = "copy"
    prefix: str = "zeroshelf"  # of the tags, where the action writes or removes some
    ambiguous: str | None = None  # the shelf of pictures that two labels fit, where one is wanted
    several: bool = False  # each picture onto every shelf that it fits
    replace: bool = True  # what earlier runs put onto other shelves is removed from there
    in_files: bool = False  # tags go into the pictures' own files where that can be done


@dataclass(frozen=True, slots=True)
class Plan:
    """Every action with its target, collisions resolved. `apply` walks this very list."""

    folder: str
    destination: str
    kind: ActionKind
    actions: tuple[Action, ...]
    notes: tuple[str, ...] = ()  # for the user, before confirming
    prefix: str = "zeroshelf"  # of the tags, where there are some
    ambiguous: str | None = None  # the shelf of what two labels fit, where one was asked for
    several: bool = False  # onto every shelf that fits
    replace: bool = True  # what earlier runs put on other shelves goes from there
    in_files: bool = False  # tags go into the pictures' own files where that can be done
    left_behind: tuple[str, ...] = ()  # files that a move leaves where their picture was

    @property
    def request(self) -> PlanRequest:
        """What the plan was made for."""
        return PlanRequest(
            self.folder,
            self.destination,
            self.kind,
            self.prefix,
            self.ambiguous,
            self.several,
            self.replace,
            self.in_files,
        )


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one action, in apply or undo."""

    action: Action
    status: Literal["done", "already", "refused", "failed"]
    reason: str = ""
    notes: tuple[str, ...] = ()  # of one that is done: what is not as planned, in words for many
