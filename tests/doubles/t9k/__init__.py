"""A double of TensorStack AI's (T9k) model serving, which is closed: its CRDs and its controller.

The CRDs are written from the published API reference, the controller does what the published
manual says. Facts: t9k/user-manuals (fbf6b3c, 2024-08-12), by file:

``src/references/api-reference/mlservice.md``
    the fields of MLService and MLServiceRuntime (tensorstack.dev/v1beta1) and of their status;
    "DeploymentSpec" stands inlined in the predictor in every published sample.
``src/modules/deployment/mlservice.md``
    - a runtime's ``args`` are Go templates, filled from ``predictor.model.parameters``
    - a container must be called ``user-container``; it alone may have a ``containerPort``, at most
      one, 8080 if it has none; containers of the MLService's template may set no ``ports``
    - the MLService's template is merged over the runtime's (StrategicMergePatch, with containers
      merged by name and ``args`` replaced as a whole); ``containersResources`` replaces what both
      say of a container's resources
    - editing a runtime changes no pod that is there ("lazy"); a change of the MLService makes pods
      of the runtime as it is then
    - the status: conditions Paused and Ready, ``releases[]`` with readyReplicas, totalReplicas,
      trafficPercent and url, ``address.url`` as ``http://NAME.PROJECT.DOMAIN`` and a release's as
      ``http://NAME-predict-RELEASE.PROJECT.DOMAIN``; the reasons of not being ready stand in the
      condition Ready, and in events
    - ``default`` has to be set and to be the name of a release, as ``canary`` has
``src/modules/deployment/storage.md``
    ``storage.pvc`` is mounted, from ``subPath``, at ``mountPath`` or ``/var/lib/t9k/model``

Not published, and therefore the double's own: the words of reasons; that templates are filled
before the merge; that pods carry ``serving.knative.dev/service``, as Knative labels its own (the
manual says that every release is a Knative Service, and its address has that service's name);
names of Deployments. What is left out, because the double has no Knative: scaling (a release has
``minReplicas`` pods), queues, transformers, loggers, s3, runMode. The double refuses those that
would change what it makes.
"""
