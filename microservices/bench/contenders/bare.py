"""A contender: the newest 50 products by Flask and a pool of psycopg, and nothing else."""

import os

from flask import Flask, Response, jsonify
from psycopg_pool import ConnectionPool

SELECT = (
    "SELECT id, name, description, price, stock, created_at FROM products.products"
    " ORDER BY created_at DESC, id DESC LIMIT 50"
)


def create_app() -> Flask:
    """Make the WSGI application; libpq reads the address from PGHOST and so on."""
    app = Flask(__name__)
    pool = ConnectionPool("", kwargs={"autocommit": True}, max_size=int(os.environ["WEB_THREADS"]), open=True)

    @app.get("/products")
    def products() -> Response:
        with pool.connection() as connection:
            rows = connection.execute(SELECT).fetchall()
        return jsonify(
            [
                {
                    "id": number,
                    "name": name,
                    "description": description,
                    "price": float(price),
                    "stock": stock,
                    "created_at": created_at.isoformat(),
                }
                for number, name, description, price, stock, created_at in rows
            ]
        )

    return app
