"""No value leaves a step through an exception."""

import traceback

import duckdb
import pytest

from hygiene_pipeline.failures import PermanentError
from hygiene_pipeline.privacy.redaction import RedactedFailureError, redacted


def test_an_exception_that_quotes_a_value_is_replaced():
    with pytest.raises(RedactedFailureError) as caught, redacted():
        duckdb.sql("select cast('Zebediah Unmistakable' as integer)").fetchall()
    told = "".join(traceback.format_exception(caught.value))
    assert "ConversionException" in str(caught.value)
    assert "Zebediah" not in str(caught.value)
    assert "Zebediah Unmistakable' to INT32" not in told


def test_our_own_one_line_errors_and_named_kinds_pass():
    with pytest.raises(PermanentError, match="say so"), redacted():
        raise PermanentError("say so")
    with pytest.raises(KeyError), redacted(KeyError):
        raise KeyError("column")


def test_an_interrupt_is_not_a_failure():
    with pytest.raises(KeyboardInterrupt), redacted():
        raise KeyboardInterrupt
