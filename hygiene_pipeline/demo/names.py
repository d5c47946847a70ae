"""Names of fictional people: scripts, accents, hyphens, apostrophes, nicknames and slips of the keyboard."""

import unicodedata
from random import Random

FEMALE = (
    "Mary", "Patricia", "Jennifer", "Linda", "Elizabeth", "Barbara", "Susan", "Jessica", "Sarah", "Karen", "Lisa",
    "Nancy", "Margaret", "Sandra", "Ashley", "Emily", "Donna", "Michelle", "Carol", "Amanda", "Dorothy", "Melissa",
    "Deborah", "Stephanie", "Rebecca", "Sharon", "Laura", "Cynthia", "Kathleen", "Amy", "Angela", "Shirley", "Anna",
    "Brenda", "Pamela", "Nicole", "Ruth", "Katherine", "Samantha", "Christine", "Emma", "Catherine", "Virginia",
    "Rachel", "Janet", "Maria", "Heather", "Diane", "Julie", "Joyce", "Victoria", "Kelly", "Christina", "Joan",
    "Evelyn", "Lauren", "Judith", "Olivia", "Martha", "Cheryl", "Megan", "Andrea", "Ann", "Alice", "Jean", "Doris",
    "Jacqueline", "Hannah", "Gloria", "Teresa", "Sara", "Janice", "Zoë", "Renée", "Siobhán", "Chloé", "Inés",
    "Noémie", "Aisha", "Mei", "Priya", "Fatima", "Guadalupe", "Oluwaseun", "Thị", "Yuki", "Agnieszka", "Sinéad",
    "María",
)  # fmt: skip
MALE = (
    "James", "Robert", "John", "Michael", "David", "William", "Richard", "Joseph", "Thomas", "Charles", "Christopher",
    "Daniel", "Matthew", "Anthony", "Mark", "Donald", "Steven", "Paul", "Andrew", "Joshua", "Kenneth", "Kevin",
    "Brian", "George", "Timothy", "Ronald", "Edward", "Jason", "Jeffrey", "Ryan", "Jacob", "Gary", "Nicholas", "Eric",
    "Jonathan", "Stephen", "Larry", "Justin", "Scott", "Brandon", "Benjamin", "Samuel", "Gregory", "Alexander",
    "Patrick", "Frank", "Raymond", "Jack", "Dennis", "Jerry", "Tyler", "Aaron", "Jose", "Adam", "Nathan", "Henry",
    "Zachary", "Douglas", "Peter", "Kyle", "Noah", "Ethan", "Jeremy", "Walter", "Keith", "Austin", "Roger", "Terry",
    "Sean", "Gerald", "Carl", "Dylan", "Harold", "Jordan", "José", "André", "Björn", "Łukasz", "François", "Søren",
    "Wei", "Raj", "Mohammed", "Chidi", "Hiroshi", "Tadhg", "Raúl", "Nguyên",
)  # fmt: skip
LAST = (
    "Smith", "Johnson", "Williams", "Brown", "Jones", "Garcia", "Miller", "Davis", "Rodriguez", "Martinez",
    "Hernandez", "Lopez", "Gonzalez", "Wilson", "Anderson", "Thomas", "Taylor", "Moore", "Jackson", "Martin", "Lee",
    "Perez", "Thompson", "White", "Harris", "Sanchez", "Clark", "Ramirez", "Lewis", "Robinson", "Walker", "Young",
    "Allen", "King", "Wright", "Scott", "Torres", "Nguyen", "Hill", "Flores", "Green", "Adams", "Nelson", "Baker",
    "Hall", "Rivera", "Campbell", "Mitchell", "Carter", "Roberts", "Gomez", "Phillips", "Evans", "Turner", "Diaz",
    "Parker", "Cruz", "Edwards", "Collins", "Reyes", "Stewart", "Morris", "Morales", "Murphy", "Cook", "Rogers",
    "Gutierrez", "Ortiz", "Morgan", "Cooper", "Peterson", "Bailey", "Reed", "Kelly", "Howard", "Ramos", "Kim", "Cox",
    "Ward", "Richardson", "Watson", "Brooks", "Chavez", "Wood", "Bennett", "Gray", "Mendoza", "Ruiz", "Hughes",
    "Price", "Alvarez", "Castillo", "Sanders", "Patel", "Myers", "Long", "Ross", "Foster", "Jimenez", "Sullivan",
    "Kowalski", "Silva", "Fitzgerald", "Callahan", "Doherty", "Medeiros", "Pereira", "Santos", "Chen", "Wong", "Tran",
    "Pham", "Singh",
)  # fmt: skip
RARE_LAST = (
    "O'Brien", "O'Connor", "D'Angelo", "N'Diaye", "Smith-Jones", "García-López", "Saint-Pierre", "van der Berg",
    "de la Cruz", "St. John", "Núñez", "Müller", "Björnsson", "Żółkowski", "Dvořák", "Gonçalves", "Łaszczyk",
    "Ó Súilleabháin", "Mac Giolla", "Al-Hassan", "Ben-David", "Nguyễn", "Türkoğlu", "Håkansson",
)  # fmt: skip
# Family and given name, in the script the patient writes.
OTHER_SCRIPTS = (
    ("王", "小明"), ("李", "娜"), ("陳", "美玲"), ("佐藤", "花子"), ("김", "민준"), ("الحسن", "محمد"), ("خوري", "ليلى"),
    ("Иванов", "Олег"), ("Παπαδόπουλος", "Ελένη"),
)  # fmt: skip
NICKNAMES = {
    "Robert": "Bob", "William": "Bill", "Richard": "Rick", "James": "Jim", "Michael": "Mike", "Elizabeth": "Liz",
    "Margaret": "Peggy", "Katherine": "Kate", "Catherine": "Cathy", "Patricia": "Pat", "Jennifer": "Jen",
    "Joseph": "Joe", "Thomas": "Tom", "Christopher": "Chris", "Daniel": "Dan", "Matthew": "Matt", "Anthony": "Tony",
    "Edward": "Ted", "Deborah": "Debbie", "Susan": "Sue", "Rebecca": "Becky", "Samuel": "Sam", "Benjamin": "Ben",
    "Steven": "Steve", "Andrew": "Andy", "Timothy": "Tim", "Kenneth": "Ken", "Jessica": "Jess", "Barbara": "Barb",
}  # fmt: skip
MAIL_HOSTS = ("example.com", "mail.example.net", "post.example.org", "example.net")


def first_name(sex: str, rng: Random) -> str:
    """A given name."""
    return rng.choice(FEMALE if sex == "F" else MALE)


def last_name(rng: Random) -> str:
    """A family name; one in twelve has a mark, a space or a hyphen in it."""
    return rng.choice(RARE_LAST if rng.random() < 0.08 else LAST)


def nickname(first: str) -> str | None:
    """What friends say instead of the given name."""
    return NICKNAMES.get(first)


def plain(text: str) -> str:
    """Lower-case ASCII letters of a name, empty for other scripts."""
    folded = unicodedata.normalize("NFKD", text.casefold())
    return "".join(char for char in folded if char.isascii() and char.isalpha())


def email(first: str, last: str, number: int, rng: Random) -> str:
    """An address in a domain that can never receive mail, different for every number."""
    body = plain(first)[:1] + plain(last) or "patient"
    return f"{body}{number}@{rng.choice(MAIL_HOSTS)}"


def misspelled(name: str, rng: Random) -> str:
    """The name with two neighbours swapped or a letter doubled."""
    if len(name) < 4:
        return name
    at = rng.randrange(1, len(name) - 2)
    if rng.random() < 0.5:
        return name[:at] + name[at + 1] + name[at] + name[at + 2 :]
    return name[:at] + name[at] + name[at:]
