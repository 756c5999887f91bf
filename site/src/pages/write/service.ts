/** The service, as writing needs it. */

import { bodyOf, answerOf, type Api } from "../../api/client";
import type { MediaFile, Post, VersionedPost } from "../../api/posts";
import type { Limits } from "./pictures";
import type { Changes, PostService } from "./saving";

export class BoardService implements PostService {
  private readonly api: Api;

  constructor(api: Api) {
    this.api = api;
  }

  async read(postId: string): Promise<VersionedPost> {
    const params = { path: { post_id: postId } };
    const { body, response } = await answerOf(this.api.GET("/api/v1/posts/{post_id}", { params }));
    return { post: body.data, etag: response.headers.get("ETag") };
  }

  async create(key: string, body: Parameters<PostService["create"]>[1]): Promise<Post> {
    const params = { header: { "Idempotency-Key": key } };
    return (await bodyOf(this.api.POST("/api/v1/posts", { params, body }))).data;
  }

  async change(postId: string, etag: string | null, changes: Changes): Promise<Post> {
    const params = { path: { post_id: postId }, header: etag === null ? {} : { "If-Match": etag } };
    return (await bodyOf(this.api.PATCH("/api/v1/posts/{post_id}", { params, body: changes }))).data;
  }

  async pictures(postId: string): Promise<readonly MediaFile[]> {
    return (await this.read(postId)).post.media_files;
  }

  async removePicture(postId: string, mediaId: string): Promise<void> {
    const params = { path: { post_id: postId, media_id: mediaId } };
    await bodyOf(this.api.DELETE("/api/v1/posts/{post_id}/media/{media_id}", { params }));
  }

  async limits(): Promise<Limits> {
    const { data } = await bodyOf(this.api.GET("/api/v1/posts/media/check-permissions"));
    return { maxBytes: data.max_file_size, maxFiles: data.max_files, extensions: data.allowed_image_extensions };
  }
}
