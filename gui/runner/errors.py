"""Errors that the user can fix: their text is one sentence for the user. They are not bugs of Tally."""

from agent.messages import CredentialError
from gui.campaign.catalogue import CatalogueError
from gui.campaign.planfile import PlanError
from gui.campaign.selection import SelectionError
from gui.hub.certificate import CertificateError
from gui.hub.server import HubError
from gui.hub.signing import SigningError
from gui.report import BundleError, PdfUnavailableError
from gui.runner.hublink import RemoteError
from gui.runner.lab import LabMissingError
from gui.runner.loading import LoadError
from gui.runner.local_clients import LocalClientsError
from gui.runner.notes import NoteError
from gui.runner.rechecking import UnderWayError
from gui.runner.record_file import RecordFileError
from gui.runner.refusal import RunRefusedError
from gui.runner.secrets import SecretsError
from gui.runner.settings import SettingsError
from gui.store import StoreError
from shoveler.bus import BusError

EXPECTED: tuple[type[Exception], ...] = (
    BundleError,
    BusError,
    CatalogueError,
    CertificateError,
    CredentialError,
    HubError,
    LabMissingError,
    LoadError,
    LocalClientsError,
    NoteError,
    PdfUnavailableError,
    PlanError,
    RecordFileError,
    RemoteError,
    RunRefusedError,
    SecretsError,
    SelectionError,
    SettingsError,
    SigningError,
    StoreError,
    UnderWayError,
)
