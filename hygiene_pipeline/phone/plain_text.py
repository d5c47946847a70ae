"""Which typed texts are plain, and how plain text becomes a calling code and national digits, in SQL.

Plain means that libphonenumber's reading of it involves no guess: ASCII digits with ordinary punctuation, a leading
remark ("Home:"), perhaps a plus and one extension. Everything else (vanity letters, other scripts' digits, RFC 3966
contexts, two numbers in one text, national prefixes and carrier codes) is left to the library. A pattern here may
be too narrow, which costs time; never too wide, which would cost truth.
"""

from hygiene_pipeline.phone.numbering_plan import calling_codes, metadata_of, quoted, without_prefix

# A remark before the number: no digit and no plus, where the number would begin; no ";", which may open a parameter.
_REMARK = r"[\x01-\x2a\x2c-\x2f\x3a\x3c-\x7b\x7d-\x7f]*"
# The library's punctuation without "x", "*" and the tildes, each of which can also mean something.
_MARK = (
    r"[-\x{2010}-\x{2015}\x{2212}\x{30FC}\x{FF0D}-\x{FF0F} "
    r"\x{A0}\x{AD}\x{200B}\x{2060}\x{3000}()\x{FF08}\x{FF09}\x{FF3B}\x{FF3D}.\[\]/]"
)
_GAP = r"[ \x{A0}\t,]*"
# Nine digits are the most that the library takes after any of these labels.
_EXTENSION = r"(?i:ext(?:n|ension)?|x|#)[:.]?[ \x{A0}\t,-]*([0-9]{1,9})"
# What follows is cut off by the library. Not "#", which ends an extension, nor "+", nor "|", our own mark.
_REST = r"[\x01-\x22\x24-\x2a\x2c-\x2f\x3a-\x40\x5b-\x60\x7b\x7d-\x7f]*"

# A North American number as people type it. Few groups and no choice at any character keep RE2 on its fast path.
_NORTH_AMERICAN = rf"([2-9][0-9]{{2}}){_MARK}*([0-9]{{3}}){_MARK}*([0-9]{{4}}){_GAP}(?:{_EXTENSION})?$"
_FROM_ANYWHERE = rf"^{_REMARK}\+{_MARK}*1{_MARK}*{_NORTH_AMERICAN}"
_FROM_UNITED_STATES = rf"^{_REMARK}(?:(?:\+{_MARK}*)?1{_MARK}*)?{_NORTH_AMERICAN}"
_PLAIN = rf"^{_REMARK}(\+?(?:{_MARK}*[0-9])+)(?:(?:{_GAP}{_EXTENSION})|(?:;ext=([0-9]{{1,9}})))?{_REST}$"

# Shorter texts (911, extensions of the house's own exchange) have rules of their own.
_FEWEST_DIGITS = 7
# The library parses no more characters than this; bytes are never fewer.
_LONGEST_TEXT = 250


def north_american_sql(source_sql: str, default_region: str) -> str:
    """A query of raw, national and extension: ten digits where a text has that plain shape, null where it has not."""
    shape = _FROM_UNITED_STATES if default_region == "US" else _FROM_ANYWHERE
    return f"""
    with typed as ({source_sql}),
    shaped as (
        select raw, regexp_replace(raw, {quoted(shape)}, '\\1\\2\\3|\\4') as shape
        from typed
        where raw is not null
    )
    -- The pattern takes no text with a "|" and always leaves one: a text that changed is a text that matched.
    select
        raw,
        case when shape <> raw and strlen(raw) <= {_LONGEST_TEXT} then substring(shape, 1, 10) end as national,
        case when shape <> raw then nullif(substring(shape, 12), '') end as extension
    from shaped
    """


def plain_text_sql(source_sql: str, default_region: str) -> str:
    """A query of raw, calling_code, national and extension; calling_code is null where the library must read."""
    home = metadata_of(default_region)
    code = str(home.country_code)
    longest = max((*home.general_desc.possible_length, *home.general_desc.possible_length_local_only))
    abroad = quoted(f"^(?:{home.international_prefix})") if home.international_prefix else None
    codes = "|".join(map(str, calling_codes()))
    plain = quoted(_PLAIN)
    after_code = f"substring(digits, {len(code) + 1})"
    return f"""
    with typed as ({source_sql}),
    separated as (
        select
            raw,
            case when strlen(raw) <= {_LONGEST_TEXT}
            then regexp_replace(regexp_extract(raw, {plain}, 1), '[^0-9+]', '', 'g') end as digits,
            regexp_extract(raw, {plain}, 2) || regexp_extract(raw, {plain}, 3) as extension
        from typed
    ),
    dialled as (
        select
            raw, extension, digits,
            case
                when starts_with(digits, '+') then substring(digits, 2)
                {f"when regexp_matches(digits, {abroad}) then regexp_replace(digits, {abroad}, '')" if abroad else ""}
            end as international
        from separated
    ),
    placed as (
        select
            raw, extension, international,
            regexp_extract(international, '^(?:{codes})') as foreign_code,
            case
                when international is not null or strlen(digits) < {_FEWEST_DIGITS} then null
                when not starts_with(digits, '{code}')
                then case when {without_prefix("digits", home.national_prefix_for_parsing)} then digits end
                when strlen(digits) > {longest} and {without_prefix(after_code, home.national_prefix_for_parsing)}
                then {after_code}
            end as domestic
        from dialled
    )
    select
        raw,
        case
            when domestic is not null then {code}
            when strlen(international) >= {_FEWEST_DIGITS} then try_cast(foreign_code as integer)
        end as calling_code,
        coalesce(domestic, substring(international, strlen(foreign_code) + 1)) as national,
        nullif(extension, '') as extension
    from placed
    """
