"""A thin shim that teaches the official SDK to send a CSR: the api-versions in the user names, `csr` in the register
body, `issuedCertificateChain` out of the result. Everything else is the SDK as published."""

import json

import azure.iot.device.constant as package_constant
from azure.iot.device.provisioning.pipeline import pipeline_stages_provisioning as stages

API_VERSION = "2025-07-01-preview"
HUB_API_VERSION = "2025-08-01-preview"  # the first one with renewal
_form_complete_result = stages.CommonProvisioningStage._form_complete_result


def install(csr_base64):
    """Adds `csr_base64` to every register request from now on; returns the list that receives issued chains."""
    chains = []
    package_constant.PROVISIONING_API_VERSION = API_VERSION
    package_constant.IOTHUB_API_VERSION = HUB_API_VERSION
    payload_class = stages.DeviceRegistrationPayload

    class WithCsr(payload_class):
        def get_json_string(self):
            body = json.loads(super().get_json_string())
            body["csr"] = csr_base64
            return json.dumps(body)

    stages.DeviceRegistrationPayload = WithCsr

    def form_complete_result(operation_id, decoded_response, status):
        state = decoded_response.get("registrationState") or {}
        if "issuedCertificateChain" in state:
            chains.append(state["issuedCertificateChain"])
        return _form_complete_result(operation_id, decoded_response, status)

    stages.CommonProvisioningStage._form_complete_result = staticmethod(form_complete_result)
    return chains
