"""Turn markers of conversations, and which of them leaked into a generated text."""

# Turn markers of conversations, by the family of models that was trained with them.
MARKERS = {
    "ChatML": ("<|im_start|>", "<|im_end|>"),
    "Zephyr": ("<|user|>", "<|assistant|>", "<|system|>"),
    "Llama 2, Mistral": ("[INST]", "[/INST]", "<<SYS>>", "<</SYS>>"),
    "Llama 3": ("<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>", "<|eom_id|>"),
    "Llama 3 text": ("<|begin_of_text|>", "<|end_of_text|>"),
    "Llama 4": ("<|header_start|>", "<|header_end|>", "<|eot|>"),
    "Gemma": ("<start_of_turn>", "<end_of_turn>"),
    "Phi": ("<|end|>", "<|im_sep|>"),
    "GPT": ("<|endoftext|>",),
    "Harmony": ("<|start|>", "<|message|>", "<|channel|>", "<|return|>"),
    "Command R": ("<|START_OF_TURN_TOKEN|>", "<|END_OF_TURN_TOKEN|>"),
    "DeepSeek": ("<｜User｜>", "<｜Assistant｜>"),
    "Granite": ("<|start_of_role|>", "<|end_of_role|>"),
    "sentence": ("</s>",),  # not <s>, which strikes text out in HTML
}


def leaked_markers(text: str) -> tuple[str, ...]:
    """Return the turn markers of any family in a generated text. A model that ends its turn properly writes none."""
    return tuple(marker for markers in MARKERS.values() for marker in markers if marker in text)
