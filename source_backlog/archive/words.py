"""The words of the pages, in Japanese and English."""

from collections.abc import Callable
from html import escape

from markupsafe import Markup

LANGUAGES = ("ja", "en")
WORDS: dict[str, tuple[str, str]] = {
    "about": ("このアーカイブについて", "About this archive"),
    "actual_hours": ("実績時間", "Actual hours"),
    "archive": ("Backlog アーカイブ", "Backlog archive"),
    "archived": ("アーカイブ済み", "Archived"),
    "as_of": ("データの取得日時", "Data as of"),
    "assignee": ("担当者", "Assignee"),
    "attachments": ("添付ファイル", "Attachments"),
    "category": ("カテゴリー", "Category"),
    "changed_from": ("変更前", "Before"),
    "changed_to": ("変更後", "After"),
    "children": ("子課題", "Child issues"),
    "comments": ("コメントと更新履歴", "Comments and history"),
    "comments_of_document": ("コメント", "Comments"),
    "created": ("登録", "Created"),
    "custom_fields": ("カスタム属性", "Custom fields"),
    "deleted": ("Backlog では削除済み", "Deleted in Backlog"),
    "description": ("詳細", "Description"),
    "document": ("ドキュメント", "Document"),
    "documents": ("ドキュメント", "Documents"),
    "due_date": ("期限日", "Due date"),
    "empty": ("(なし)", "(none)"),
    "estimated_hours": ("予定時間", "Estimated hours"),
    "external_links": ("外部ファイルへのリンク", "Links to external files"),
    "file_missing": ("ファイルなし", "no file"),
    "file_not_linked": (
        "ブラウザーで開くとスクリプトが動くことがあるため、リンクしていません",
        "not linked, because a browser may run scripts in it",
    ),
    "files_found": ("見つかったファイル", "Files found"),
    "files_missing": ("見つからなかったファイル", "Files not found"),
    "issue": ("課題", "Issue"),
    "issues": ("課題", "Issues"),
    "issue_type": ("種別", "Type"),
    "key": ("キー", "Key"),
    "milestone": ("マイルストーン", "Milestone"),
    "milestones": ("マイルストーン", "Milestones"),
    "name": ("名前", "Name"),
    "newest": ("最近更新された課題", "Issues changed last"),
    "next": ("次へ", "Next"),
    "no_comments": (
        "コメントと更新履歴は取り込まれていません (ストリーム issue_comments)。",
        "Comments and history were not read (stream issue_comments).",
    ),
    "no_description": ("詳細はありません。", "There is no description."),
    "no_page": ("まだ何もありません。", "There is nothing here."),
    "not_joined": (
        "参加していないプロジェクト: 中身は取り込まれていません",
        "not joined: nothing inside it was read",
    ),
    "not_read": ("取り込まれていません", "not read"),
    "notification": ("お知らせ", "Notification"),
    "page": ("ページ", "Page"),
    "parent": ("親課題", "Parent issue"),
    "priority": ("優先度", "Priority"),
    "projects": ("プロジェクト", "Projects"),
    "read_at": ("最終取得", "Last read"),
    "related": ("関連課題", "Related issues"),
    "resolution": ("完了理由", "Resolution"),
    "rows": ("行数", "Rows"),
    "search": ("検索", "Search"),
    "search_all_words": (
        "すべての語を含むページが見つかります。英数字の語は前方一致です。",
        "Finds pages that have all of the words; a word in Latin letters may be the beginning of one.",
    ),
    "search_needs_script": ("検索には JavaScript が必要です。", "The search needs JavaScript."),
    "search_nothing": ("見つかりませんでした。", "Nothing was found."),
    "search_results": ("件", "found"),
    "search_searching": ("検索中…", "Searching…"),
    "search_more": ("さらに表示", "Show more"),
    "shared_files": ("共有ファイル", "Shared files"),
    "start_date": ("開始日", "Start date"),
    "stars": ("スター", "Stars"),
    "status": ("状態", "Status"),
    "summary": ("件名", "Subject"),
    "tables": ("元になったテーブル", "The tables that it was made of"),
    "tags": ("タグ", "Tags"),
    "times_in": ("時刻のタイムゾーン", "Time zone"),
    "trashed": ("ゴミ箱", "In the trash"),
    "updated": ("更新", "Updated"),
    "version": ("発生バージョン", "Version"),
    "versions": ("発生バージョン", "Versions"),
    "what": (
        "このフォルダーは、backlog-sync がデータベースに取り込んだデータから作られました。Backlog への接続は不要です。",
        "This folder was made of what backlog-sync has read into a database. It needs no connection to Backlog.",
    ),
    "wiki": ("Wiki", "Wiki"),
    "wiki_page": ("Wiki ページ", "Wiki page"),
    "without_files": (
        "ファイルのフォルダーは指定されていません (--files)。",
        "No folder of files was named (--files).",
    ),
}
# The names that change logs give to fields; other names are those of custom fields.
FIELDS = {
    "actualHours": "actual_hours",
    "assigner": "assignee",
    "attachment": "attachments",
    "component": "category",
    "description": "description",
    "estimatedHours": "estimated_hours",
    "issueType": "issue_type",
    "limitDate": "due_date",
    "milestone": "milestone",
    "notification": "notification",
    "parentIssue": "parent",
    "priority": "priority",
    "relatedIssue": "related",
    "resolution": "resolution",
    "sharedFile": "shared_files",
    "startDate": "start_date",
    "status": "status",
    "summary": "summary",
    "version": "version",
}


def speaker(language: str) -> Callable[[str], Markup]:
    """Gives words of `language`, marked for the script of the pages, which exchanges them for those of the other."""
    index = LANGUAGES.index(language)
    return lambda name: Markup(f'<span data-t="{name}">{escape(WORDS[name][index])}</span>')
