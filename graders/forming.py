"""What a forming worker does: makes what the candidate of one form gets, files and a brief. Message in, message out.

    worker = FormingWorker(GradersSettings())                        once, when the process starts
    answer = worker.perform(request)                  FormRequest ─► FormReport, both as JSON text

It runs the challenge's generator, so it holds challenges and the instance secret, and neither Docker nor a database.
What calibrating a form takes, it takes here and once; a form that the challenge refuses is reported as unfit.
The files go into the store, and the report names them by their digest: whoever forges one forges no files with it.
"""

from graders import forms
from graders.contract import (
    LONGEST_BRIEF,
    ChallengeInvalid,
    Failure,
    Fault,
    FormReport,
    FormRequest,
    FormUnfit,
    GraderFailed,
    GradersError,
)
from graders.settings import GradersSettings
from graders.trees import store_at
from graders.versions import VersionMissing, Versions
from graders.watch import storable
from graders.worker import in_words

__all__ = ["FormingWorker"]


class FormingWorker:
    """Holds settings and nothing that is open: its process may fork for each form."""

    def __init__(self, settings: GradersSettings) -> None:
        self._settings = settings
        self._secret = settings.secret()
        self._versions = Versions(settings.versions_folder)

    def perform(self, text: str) -> str:
        """The report on a request. MessageUnreadable when that is none; whoever asked rings again."""
        request = FormRequest.from_json(text)
        try:
            return self._make(request).to_json()
        except FormUnfit as error:
            return FormReport(form=request.form, fence=request.fence, unfit=in_words(error)).to_json()
        except (ChallengeInvalid, GraderFailed) as error:
            return _failed(request, Fault.AUTHOR, error)
        except (GradersError, OSError, MemoryError) as error:
            return _failed(request, Fault.OPERATOR, error)

    def _make(self, request: FormRequest) -> FormReport:
        challenge = self._versions.read(request.challenge_digest)
        if challenge.slug != request.challenge:
            raise VersionMissing(
                f"challenge version {challenge.digest[:12]}: is one of {challenge.slug}, not of {request.challenge}"
            )
        version = challenge.manifest.version
        form = forms.form_for(challenge.slug, version, request.reference, self._secret)
        form, bundle = forms.build(challenge, form)
        if len(bundle.brief) > LONGEST_BRIEF:
            raise GraderFailed(f"brief.md: longer than {LONGEST_BRIEF:,} characters: nobody reads that")
        form = forms.calibrated(challenge, form)
        store = store_at(self._settings.portal_url, self._settings.store_folder, request.token)
        return FormReport(
            form=request.form,
            fence=request.fence,
            bundle=store.put(bundle.files),
            brief=storable(bundle.brief),
            signature=form.signature,
            calibration=form.calibration,
        )


def _failed(request: FormRequest, fault: Fault, error: Exception) -> str:
    failure = Failure(fault_of=fault, message=in_words(error))
    return FormReport(form=request.form, fence=request.fence, failure=failure).to_json()
