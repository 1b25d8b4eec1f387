"""What the pages share. The only code besides them that knows Streamlit."""
