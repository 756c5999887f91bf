/** Reports of one post, seen together. */

import type { ListedReport } from "../../api/moderation";

export interface PostReports {
  postId: string;
  post: ListedReport["post"];
  isOpen: boolean;
  reports: ListedReport[];
}

/** Reports of a page by their post, in the order of each post's newest report. */
export function groupByPost(reports: readonly ListedReport[]): PostReports[] {
  const groups = new Map<string, PostReports>();
  for (const report of reports) {
    const group = groups.get(report.post_id);
    if (group) group.reports.push(report);
    else groups.set(report.post_id, { postId: report.post_id, post: report.post, isOpen: report.state === "open", reports: [report] });
  }
  return [...groups.values()];
}
