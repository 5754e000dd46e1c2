"""Every address of the server."""

from django.contrib.auth import views as auth
from django.urls import path

from lookalike.web.api import api
from lookalike.web.views import (
    accounts,
    browsing,
    collections,
    health,
    jobs,
    picking,
    pictures,
    searching,
)

urlpatterns = [
    path("", searching.start, name="start"),
    path("login/", auth.LoginView.as_view(template_name="web/login.html"), name="login"),
    path("logout/", auth.LogoutView.as_view(), name="logout"),
    path("welcome/<str:secret>/", accounts.welcome, name="welcome"),
    path("account/", accounts.account, name="account"),
    path("account/tokens/", accounts.make_token, name="make_token"),
    path("account/tokens/<int:token_id>/revoke/", accounts.revoke_token, name="revoke_token"),
    path("people/", accounts.people, name="people"),
    path("audit/", accounts.audit, name="audit"),
    path("collections/", collections.collections, name="collections"),
    path("c/<slug:slug>/", searching.search, name="search"),
    path("c/<slug:slug>/suggest/", searching.suggest, name="suggest"),
    path("c/<slug:slug>/details/", collections.details, name="details"),
    path("c/<slug:slug>/index/", collections.index, name="index"),
    path("c/<slug:slug>/share/", collections.share, name="share"),
    path("c/<slug:slug>/browse/", browsing.clusters, name="browse"),
    path("c/<slug:slug>/browse/clusters/<int:number>/", browsing.cluster, name="cluster"),
    path("c/<slug:slug>/browse/subjects/", browsing.subjects, name="subjects"),
    path("c/<slug:slug>/browse/map/", browsing.map_page, name="map"),
    path("c/<slug:slug>/browse/map.json", browsing.map_points, name="map_points"),
    path("c/<slug:slug>/browse/atlas/<slug:key>/<int:number>.webp", browsing.atlas, name="atlas"),
    path("c/<slug:slug>/browse/make/<slug:kind>/", browsing.group, name="group"),
    path("c/<slug:slug>/picked/", picking.picked, name="picked"),
    path("c/<slug:slug>/i/<int:image_id>/", pictures.image, name="image"),
    path("c/<slug:slug>/i/<int:image_id>/small.webp", pictures.thumbnail, name="thumbnail"),
    path("c/<slug:slug>/i/<int:image_id>/large.webp", pictures.large, name="large"),
    path("c/<slug:slug>/i/<int:image_id>/layout.png", pictures.layout, name="layout"),
    path("c/<slug:slug>/i/<int:image_id>/original", pictures.original, name="original"),
    path("c/<slug:slug>/jobs/<uuid:job_id>/", jobs.job, name="job"),
    path("c/<slug:slug>/jobs/<uuid:job_id>/<slug:action>/", jobs.steer, name="steer_job"),
    path("uploads/", pictures.upload, name="upload"),
    path("uploads/<str:token>.webp", pictures.uploaded, name="uploaded"),
    path("healthz/live", health.live, name="live"),
    path("healthz/ready", health.ready, name="ready"),
    path("metrics", health.metrics, name="metrics"),
    path("api/v1/", api.urls),
]
