"""The instruction for competition mathematics, which several ready-made tasks share.

Lives here: the text. Not here: the tasks.
"""

BOXED = (
    "Solve the following math problem efficiently and clearly.  The last line of your response"
    " should be of the following format: 'Therefore, the final answer is: $\\boxed{ANSWER}$. I"
    " hope it is correct' (without quotes) where ANSWER is just the final number or expression that"
    " solves the problem. Think step by step before answering.\n\n"
)
"""Of lighteval's AIME tasks (MIT), which took it from Llama 3's and simple-evals' prompts.

Without the white space around it.
"""
