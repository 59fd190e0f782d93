"""Words for the generator: Japanese and English, as teams that use Backlog write them."""

from __future__ import annotations

import random

PEOPLE = (
    ("佐藤 花子", "sato"),
    ("鈴木 一郎", "suzuki"),
    ("高橋 美咲", "takahashi"),
    ("Emma Wilson", "emma"),
    ("田中 翔太", "tanaka"),
    ("伊藤 さくら", "ito"),
    ("Daniel Kim", "daniel"),
    ("渡辺 健", "watanabe"),
    ("山本 葵", "yamamoto"),
    ("Sofía Núñez", "sofia"),
    ("中村 大輔", "nakamura"),
    ("小林 結衣", "kobayashi"),
)
PROJECTS = (
    ("WEB", "Webサイト刷新"),
    ("APP", "モバイルアプリ"),
    ("OPS", "運用・保守"),
    ("DATA", "Data platform"),
    ("MKT", "マーケティング"),
    ("HR_2", "人事・採用"),
)
SUBJECTS = (
    "ログイン画面", "検索機能", "請求書PDF", "CSV export", "通知メール", "管理画面", "API gateway", "決済処理",
    "在庫一覧", "ユーザー登録", "Dashboard", "夜間バッチ", "画像アップロード", "パスワード再設定", "顧客マスタ",
    "Webhook delivery", "権限設定", "レポート集計", "ファイル共有", "Android版",
)  # fmt: skip
PROBLEMS = (
    "が表示されない", "の性能改善", "の文言を修正する", "のテストを追加する", " returns an error", "の設計見直し",
    "でエラーが発生する", "の多言語対応", " should be documented", "のレイアウト崩れ", "の仕様を確認する",
    "をリファクタリングする", " times out", "の手順書を作成する",
)  # fmt: skip
SENTENCES = (
    "再現手順を確認しました。",
    "明日までに対応します。",
    "Fixed in the branch, please review.",
    "ご確認をお願いします。",
    "お客様から問い合わせがありました。",
    "Works on staging now.",
    "原因はキャッシュの設定でした。",
    "見積もりは別途相談させてください。",
    "ログを添付しました。\n\n```\nERROR 500: connection reset\n```",
    "了解です 👍",
    "仕様書の第3章を参照してください。",
    "I could not reproduce this on Windows.",
    "本番環境へのリリースは来週月曜の予定です。",
    "LGTM!",
    "- 項目1\n- 項目2\n- 項目3",
    "テスト環境で確認済みです。",
    "優先度を上げてください。",
    "We agreed on this in the weekly meeting.",
    "対応方針を変更します。",
    '「引用」と"quotes"、,カンマ\tタブ',
)
FILES = (
    "構成図.png", "議事録 2026-05.docx", "screenshot.png", "エラーログ.txt", "見積書(最終版).xlsx", "report,final.csv",
    "画面遷移図.pdf", "データ移行手順.md", "error log.zip", "ロゴ案①.svg",
)  # fmt: skip
DIRECTORIES = (
    "/設計", "/設計/画面", "/設計/画面/スマートフォン版", "/議事録", "/議事録/2026年", "/Release notes",
    "/納品物/第1期 (検収済)", "/100%_完了",
)  # fmt: skip
CATEGORIES = ("フロントエンド", "バックエンド", "Infrastructure", "ドキュメント", "QA")
WIKI_PAGES = (
    "Home",
    "開発環境の構築",
    "コーディング規約",
    "Release procedure",
    "用語集",
    "会議/定例",
    "FAQ",
    "障害対応フロー",
)
DOCUMENTS = (
    "要件定義書",
    "Architecture overview",
    "週次報告",
    "オンボーディング",
    "API設計",
    "リリース計画",
    "Retrospective",
    "テスト計画",
)
TAGS = ("設計", "重要", "draft", "公開", "2026")
EMOJI = ("📘", "🚀", None, "✅", None)


def sentences(rng: random.Random, low: int, high: int) -> str:
    return "\n".join(rng.choice(SENTENCES) for _ in range(rng.randint(low, high)))


def pool(rng: random.Random, size: int, low: int, high: int) -> list[str]:
    """A stock of texts, so that a hundred thousand issues share a few hundred strings."""
    return [sentences(rng, low, high) for _ in range(size)]
