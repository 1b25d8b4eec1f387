"""The parts of the robustness lab."""
