"""The commands that take labels or a model take them by the same options."""

from __future__ import annotations

import click
import pytest

from zeroshelf.commands import labels, options, review, sort, suggest


@click.command()
@options.labelling
def labelled() -> None:
    """The options that name labels."""


@click.command()
@options.modelling
def modelled() -> None:
    """The options that name a model."""


@click.command()
@options.classifying
@options.placing
def sorted_so() -> None:
    """All options that say how a folder is sorted."""


def options_of(command: click.Command) -> dict[str | None, dict[str, object]]:
    return {
        option.name: option.to_info_dict()
        for option in command.params
        if isinstance(option, click.Option)
    }


@pytest.mark.parametrize(
    ("command", "shared"),
    [
        (sort.sort, sorted_so),
        (sort.plan, sorted_so),
        (review.command, sorted_so),
        (labels.check, labelled),
        (labels.check, modelled),
        (suggest.command, modelled),
    ],
)
def test_commands_share_their_options(command: click.Command, shared: click.Command) -> None:
    theirs = options_of(command)
    assert {name: theirs.get(name) for name in options_of(shared)} == options_of(shared)


def test_review_of_a_folder_takes_what_sort_takes() -> None:
    sorting, reviewing = options_of(sort.sort), options_of(review.command)
    assert sorting.keys() - reviewing.keys() == {"dry_run", "yes"}  # a review asks on its page
