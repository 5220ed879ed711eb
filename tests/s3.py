"""A bucket on a real S3 server that runs on this machine: what the engine is told, and what lies in it."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from typing import Any

SECRET_KEY = "canary-of-aws-7c1f0e-key"
REGION = "us-east-1"


def client(service: str, endpoint: str) -> Any:
    """A client of boto3, which is imported by whoever needs one: that takes its time."""
    import boto3

    return boto3.client(
        service,
        endpoint_url=f"http://{endpoint}",
        aws_access_key_id="ada",
        aws_secret_access_key=SECRET_KEY,
        region_name=REGION,
    )


@dataclass(frozen=True)
class Bucket:
    """`client` is boto3's."""

    name: str
    endpoint: str
    client: Any

    @property
    def url(self) -> str:
        """Its address as Pulumi takes it."""
        return f"s3://{self.name}?endpoint={self.endpoint}&disableSSL=true&s3ForcePathStyle=true"

    @property
    def environment(self) -> dict[str, str]:
        """What a user has set who may use it."""
        return {
            "AWS_ACCESS_KEY_ID": "ada",
            "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
            "AWS_REGION": REGION,
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        }

    def objects(self, prefix: str = "") -> dict[str, bytes]:
        found = self.client.list_objects_v2(Bucket=self.name, Prefix=prefix).get("Contents", [])
        return {item["Key"]: self._read(item["Key"]) for item in found}

    def write(self, key: str, content: bytes) -> None:
        self.client.put_object(Bucket=self.name, Key=key, Body=content)

    def locks(self) -> list[dict[str, Any]]:
        """The engine's locks."""
        return [json.loads(content) for content in self.objects(".pulumi/locks/").values()]

    def write_lock(self, project: str, stack: str, **changes: Any) -> None:
        """A lock as an engine on another machine leaves it when it is killed."""
        lock = {"pid": 77, "username": "ada", "hostname": "elsewhere", "timestamp": "2026-01-01T00:00:00Z"}
        key = f".pulumi/locks/organization/{project}/{stack}/one.json"
        self.write(key, json.dumps({**lock, **changes}).encode())

    def _read(self, key: str) -> bytes:
        content: bytes = self.client.get_object(Bucket=self.name, Key=key)["Body"].read()
        return content
