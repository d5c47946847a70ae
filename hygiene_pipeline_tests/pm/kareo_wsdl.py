"""A WSDL of the read operations of Tebra's service, written from what is publicly known: names, nesting, order."""

NAMESPACE = "http://www.kareo.com/api/schemas/"


def _names(words: str) -> list[str]:
    return words.split()


_PATIENT = _names(
    """ID FirstName LastName DOB Gender Active MedicalRecordNumber HomePhone MobilePhone WorkPhone EmailAddress
    AddressLine1 AddressLine2 City State ZipCode ReferringProviderId ReferringProviderFullName LastModifiedDate
    PracticeId PracticeName SSN"""
)
_POLICY = _names("CompanyID CompanyName PlanID PlanName Number GroupNumber EffectiveStartDate EffectiveEndDate")
MEMBERS = {
    "PatientBatchData": [
        *_PATIENT,
        *(f"{rank}InsurancePolicy{member}" for rank in ("Primary", "Secondary") for member in _POLICY),
    ],
    "AppointmentData": _names(
        """ID CreatedDate PracticeID PracticeName Type ConfirmationStatus ServiceLocationName PatientID PatientFullName
        StartDate EndDate AppointmentReason1 ResourceID1 ResourceID2 ResourceName1 ResourceTypeID1 ResourceTypeID2"""
    ),
    "ProviderData": _names(
        "ID FirstName LastName FullName Type Active NationalProviderIdentifier SpecialtyName PracticeName"
    ),
    "PracticeData": _names("ID PracticeName"),
}
_FLAGS = ["Authenticated", "Authorized", "CustomerKeyValid"]
FILTERS = {
    "GetAllPatients": _names("BatchSize PracticeID StartKey"),
    "GetAppointments": _names("EndDate PracticeName StartDate TimeZoneOffsetFromGMT Type"),
    "GetProviders": _names("FullName PracticeID PracticeName Type"),
    "GetPractices": _names("PracticeName"),
}
# The list of an operation: its element, and the type of its records.
LISTS = {
    "GetAllPatients": ("Patients", "PatientBatchData"),
    "GetAppointments": ("Appointments", "AppointmentData"),
    "GetProviders": ("Providers", "ProviderData"),
    "GetPractices": ("Practices", "PracticeData"),
}


def wsdl(address: str, *, without: frozenset[str] = frozenset()) -> str:
    """The document as WCF would serve it; it names the address of a server behind a load balancer."""
    types = [_sequence(name, [m for m in members if m not in without]) for name, members in MEMBERS.items()]
    types += [_array(record) for _, record in LISTS.values()]
    for operation, (element, record) in LISTS.items():
        types += _operation_types(operation, element, record)
    return f"""<?xml version="1.0" encoding="utf-8"?>
<wsdl:definitions name="KareoServices" targetNamespace="{NAMESPACE}" xmlns:tns="{NAMESPACE}"
    xmlns:wsdl="http://schemas.xmlsoap.org/wsdl/" xmlns:soap="http://schemas.xmlsoap.org/wsdl/soap/"
    xmlns:xs="http://www.w3.org/2001/XMLSchema">
  <wsdl:types><xs:schema elementFormDefault="qualified" targetNamespace="{NAMESPACE}">
    {_sequence("RequestHeader", ["ClientVersion", "CustomerKey", "Password", "User"])}
    {_sequence("ErrorResponse", ["ErrorMessage", "StackTrace"], booleans=["IsError"])}
    {_sequence("SecurityResponse", ["PermissionsMissing"], booleans=_FLAGS)}
    {_sequence("PatientBatchKey", ["nextStartKey"])}
    <xs:complexType name="RequestBase"><xs:sequence>
      <xs:element minOccurs="0" name="RequestHeader" nillable="true" type="tns:RequestHeader"/>
    </xs:sequence></xs:complexType>
    <xs:complexType name="ResponseBase"><xs:sequence>
      <xs:element minOccurs="0" name="ErrorResponse" nillable="true" type="tns:ErrorResponse"/>
      <xs:element minOccurs="0" name="SecurityResponse" nillable="true" type="tns:SecurityResponse"/>
    </xs:sequence></xs:complexType>
    {"".join(types)}
  </xs:schema></wsdl:types>
  {"".join(_messages(each) for each in LISTS)}
  <wsdl:portType name="KareoServices">{"".join(_port(each) for each in LISTS)}</wsdl:portType>
  <wsdl:binding name="BasicHttpBinding_KareoServices" type="tns:KareoServices">
    <soap:binding transport="http://schemas.xmlsoap.org/soap/http"/>{"".join(_binding(each) for each in LISTS)}
  </wsdl:binding>
  <wsdl:service name="KareoServices">
    <wsdl:port name="BasicHttpBinding_KareoServices" binding="tns:BasicHttpBinding_KareoServices">
      <soap:address location="{address}"/></wsdl:port>
  </wsdl:service>
</wsdl:definitions>"""


def _sequence(name: str, members: list[str], *, booleans: list[str] | None = None) -> str:
    inner = "".join(f'<xs:element minOccurs="0" name="{each}" type="xs:boolean"/>' for each in booleans or [])
    inner += "".join(f'<xs:element minOccurs="0" name="{m}" nillable="true" type="xs:string"/>' for m in members)
    return f'<xs:complexType name="{name}"><xs:sequence>{inner}</xs:sequence></xs:complexType>'


def _array(record: str) -> str:
    return (
        f'<xs:complexType name="ArrayOf{record}"><xs:sequence><xs:element minOccurs="0" maxOccurs="unbounded"'
        f' name="{record}" nillable="true" type="tns:{record}"/></xs:sequence></xs:complexType>'
    )


def _operation_types(operation: str, element: str, record: str) -> list[str]:
    key = '<xs:element minOccurs="0" name="Key" nillable="true" type="tns:PatientBatchKey"/>'
    return [
        _sequence(f"{operation}Fields", ["ID"]),
        _sequence(f"{operation}Filter", FILTERS[operation]),
        _extension(
            f"{operation}Req",
            "RequestBase",
            f'<xs:element minOccurs="0" name="Fields" nillable="true" type="tns:{operation}Fields"/>'
            f'<xs:element minOccurs="0" name="Filter" nillable="true" type="tns:{operation}Filter"/>',
        ),
        _extension(
            f"{operation}Resp",
            "ResponseBase",
            (key if operation == "GetAllPatients" else "")
            + f'<xs:element minOccurs="0" name="{element}" nillable="true" type="tns:ArrayOf{record}"/>',
        ),
        _wrapper(operation, "request", f"{operation}Req"),
        _wrapper(f"{operation}Response", f"{operation}Result", f"{operation}Resp"),
    ]


def _extension(name: str, base: str, inner: str) -> str:
    return (
        f'<xs:complexType name="{name}"><xs:complexContent><xs:extension base="tns:{base}"><xs:sequence>{inner}'
        "</xs:sequence></xs:extension></xs:complexContent></xs:complexType>"
    )


def _wrapper(name: str, inner: str, kind: str) -> str:
    return (
        f'<xs:element name="{name}"><xs:complexType><xs:sequence><xs:element minOccurs="0" name="{inner}"'
        f' nillable="true" type="tns:{kind}"/></xs:sequence></xs:complexType></xs:element>'
    )


def _messages(operation: str) -> str:
    return "".join(
        f'<wsdl:message name="KareoServices_{operation}_{way}Message">'
        f'<wsdl:part name="parameters" element="tns:{element}"/></wsdl:message>'
        for way, element in (("Input", operation), ("Output", f"{operation}Response"))
    )


def _port(operation: str) -> str:
    return (
        f'<wsdl:operation name="{operation}"><wsdl:input message="tns:KareoServices_{operation}_InputMessage"/>'
        f'<wsdl:output message="tns:KareoServices_{operation}_OutputMessage"/></wsdl:operation>'
    )


def _binding(operation: str) -> str:
    body = '<soap:body use="literal"/>'
    return (
        f'<wsdl:operation name="{operation}"><soap:operation soapAction="{NAMESPACE}KareoServices/{operation}"'
        f' style="document"/><wsdl:input>{body}</wsdl:input><wsdl:output>{body}</wsdl:output></wsdl:operation>'
    )
