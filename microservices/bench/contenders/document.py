"""A contender: the document's own way: a connection a request, the whole table, Flask's development server."""

import os

import psycopg2
from flask import Flask, Response, jsonify

app = Flask(__name__)


def get_db_connection() -> "psycopg2.extensions.connection":
    """Connect, as libpq's variables say."""
    return psycopg2.connect("")


@app.route("/products", methods=["GET"])
def get_products() -> Response:
    """Every product, newest first."""
    connection = get_db_connection()
    cursor = connection.cursor()
    cursor.execute(
        "SELECT id, name, description, price, stock, created_at FROM products.products ORDER BY created_at DESC"
    )
    products = [
        {
            "id": row[0],
            "name": row[1],
            "description": row[2],
            "price": float(row[3]),
            "stock": row[4],
            "created_at": row[5].isoformat(),
        }
        for row in cursor.fetchall()
    ]
    cursor.close()
    connection.close()
    return jsonify(products)


if __name__ == "__main__":
    app.run(host="127.0.0.1", port=int(os.environ["PORT"]))
