BEGIN TRANSACTION;
CREATE TABLE alembic_version (
	version_num VARCHAR(32) NOT NULL, 
	CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);
INSERT INTO "alembic_version" VALUES('v3.2.0.a');
CREATE TABLE moo_bnas_drivers (
	study_id INTEGER NOT NULL, 
	token VARCHAR(32) NOT NULL, 
	host VARCHAR(255) NOT NULL, 
	pid INTEGER NOT NULL, 
	since DATETIME NOT NULL, 
	last_seen DATETIME NOT NULL, 
	grace FLOAT NOT NULL, 
	PRIMARY KEY (study_id)
);
CREATE TABLE moo_bnas_evaluations (
	fingerprint VARCHAR(64) NOT NULL, 
	genotype VARCHAR(255) NOT NULL, 
	token VARCHAR(32) NOT NULL, 
	trial_id INTEGER NOT NULL, 
	result TEXT, 
	PRIMARY KEY (fingerprint, genotype)
);
INSERT INTO "moo_bnas_evaluations" VALUES('7872ac7b91dd8d53e9fdc2fbd036629ea2d79b4fdb80467b5aa0765b0038f470','3,3,3,3,3,3','4162244fd92249b9b80a8ce245d33801',9,'{"epochs": 1, "train_seconds": 0.038, "images_per_second": 27995.5, "accuracy": 16.944444444444443, "accuracy_per_epoch": [16.944444444444443], "seed": 5520179362788914077, "fingerprint": "7872ac7b91dd8d53e9fdc2fbd036629ea2d79b4fdb80467b5aa0765b0038f470", "worker": "host-1-000000", "device": "cpu", "fitness": 7.5506150433555135}');
INSERT INTO "moo_bnas_evaluations" VALUES('7872ac7b91dd8d53e9fdc2fbd036629ea2d79b4fdb80467b5aa0765b0038f470','3,2,2,1,1,0','b1e89f1240444faebdd0eb0caddb3750',10,'{"epochs": 1, "train_seconds": 0.028, "images_per_second": 37893.7, "accuracy": 8.055555555555555, "accuracy_per_epoch": [8.055555555555555], "seed": 7963333391080892378, "fingerprint": "7872ac7b91dd8d53e9fdc2fbd036629ea2d79b4fdb80467b5aa0765b0038f470", "worker": "host-1-000000", "device": "cpu", "fitness": 1.2367412784835654}');
INSERT INTO "moo_bnas_evaluations" VALUES('7872ac7b91dd8d53e9fdc2fbd036629ea2d79b4fdb80467b5aa0765b0038f470','2,2,2,2,2,2','4d22d1ddb72540bf8c4b7c02cb0a7286',8,'{"epochs": 1, "train_seconds": 0.028, "images_per_second": 38390.4, "accuracy": 12.777777777777779, "accuracy_per_epoch": [12.777777777777779], "seed": 5019098495679491824, "fingerprint": "7872ac7b91dd8d53e9fdc2fbd036629ea2d79b4fdb80467b5aa0765b0038f470", "worker": "host-1-000000", "device": "cpu", "fitness": 8.777777777777779}');
INSERT INTO "moo_bnas_evaluations" VALUES('7872ac7b91dd8d53e9fdc2fbd036629ea2d79b4fdb80467b5aa0765b0038f470','1,1,1,1,1,1','423f25407f234a51b52a45de98cbc9e7',7,'{"epochs": 1, "train_seconds": 0.027, "images_per_second": 39848.3, "accuracy": 12.5, "accuracy_per_epoch": [12.5], "seed": 6154360814801411646, "fingerprint": "7872ac7b91dd8d53e9fdc2fbd036629ea2d79b4fdb80467b5aa0765b0038f470", "worker": "host-1-000000", "device": "cpu", "fitness": 10.674228675136117}');
INSERT INTO "moo_bnas_evaluations" VALUES('7872ac7b91dd8d53e9fdc2fbd036629ea2d79b4fdb80467b5aa0765b0038f470','0,0,0,3,2,3','f5db31a70efc421ebf98a991818cd4a7',11,'{"epochs": 1, "train_seconds": 0.026, "images_per_second": 40513.2, "accuracy": 15.0, "accuracy_per_epoch": [15.0], "seed": 1546187334636074494, "fingerprint": "7872ac7b91dd8d53e9fdc2fbd036629ea2d79b4fdb80467b5aa0765b0038f470", "worker": "host-1-000000", "device": "cpu", "fitness": 13.20205686630369}');
INSERT INTO "moo_bnas_evaluations" VALUES('7872ac7b91dd8d53e9fdc2fbd036629ea2d79b4fdb80467b5aa0765b0038f470','0,0,0,0,0,0','89f8506ddd0443648e203004e888a15b',6,'{"epochs": 1, "train_seconds": 0.024, "images_per_second": 44957.2, "accuracy": 13.333333333333334, "accuracy_per_epoch": [13.333333333333334], "seed": 6477603056883398312, "fingerprint": "7872ac7b91dd8d53e9fdc2fbd036629ea2d79b4fdb80467b5aa0765b0038f470", "worker": "host-1-000000", "device": "cpu", "fitness": 12.46400483968542}');
INSERT INTO "moo_bnas_evaluations" VALUES('5ebd14b0e87820fdcef927927aa330d332db26cc65c6fec23f96feed0103c8c7','2,2,2,2,2,2','7fbad4466c444538a910bf98680c1fe4',5,'{"epochs": 1, "train_seconds": 0.024, "images_per_second": 45449.6, "accuracy": 43.611111111111114, "accuracy_per_epoch": [43.611111111111114], "seed": 5019098495679491824, "fingerprint": "5ebd14b0e87820fdcef927927aa330d332db26cc65c6fec23f96feed0103c8c7", "worker": "host-1-000000", "device": "cpu", "fitness": 0.0}');
INSERT INTO "moo_bnas_evaluations" VALUES('7872ac7b91dd8d53e9fdc2fbd036629ea2d79b4fdb80467b5aa0765b0038f470','3,2,3,3,3,3','b5e307a04f55460cbad91b32f5078812',13,'{"epochs": 1, "train_seconds": 0.032, "images_per_second": 33535.6, "accuracy": 15.833333333333334, "accuracy_per_epoch": [15.833333333333334], "seed": 6028768133456995182, "fingerprint": "7872ac7b91dd8d53e9fdc2fbd036629ea2d79b4fdb80467b5aa0765b0038f470", "worker": "host-1-000000", "device": "cpu", "fitness": 6.9670296430732}');
INSERT INTO "moo_bnas_evaluations" VALUES('7872ac7b91dd8d53e9fdc2fbd036629ea2d79b4fdb80467b5aa0765b0038f470','3,0,0,0,0,1','59eca686267741efbd1c66c6011d07d8',16,'{"epochs": 1, "train_seconds": 0.026, "images_per_second": 41289.9, "accuracy": 11.944444444444445, "accuracy_per_epoch": [11.944444444444445], "seed": 2894846653125138371, "fingerprint": "7872ac7b91dd8d53e9fdc2fbd036629ea2d79b4fdb80467b5aa0765b0038f470", "worker": "host-1-000000", "device": "cpu", "fitness": 5.518854607783828}');
INSERT INTO "moo_bnas_evaluations" VALUES('7872ac7b91dd8d53e9fdc2fbd036629ea2d79b4fdb80467b5aa0765b0038f470','2,3,2,2,2,2','c86f16dc3087496d9b45c55263ff088b',15,'{"epochs": 1, "train_seconds": 0.026, "images_per_second": 41092.6, "accuracy": 10.277777777777779, "accuracy_per_epoch": [10.277777777777779], "seed": 5654204639963389460, "fingerprint": "7872ac7b91dd8d53e9fdc2fbd036629ea2d79b4fdb80467b5aa0765b0038f470", "worker": "host-1-000000", "device": "cpu", "fitness": 6.011595079653157}');
INSERT INTO "moo_bnas_evaluations" VALUES('7872ac7b91dd8d53e9fdc2fbd036629ea2d79b4fdb80467b5aa0765b0038f470','2,2,0,2,2,3','2f0717c5b36e435ab1261488855ac5c5',14,'{"epochs": 1, "train_seconds": 0.026, "images_per_second": 40487.0, "accuracy": 13.61111111111111, "accuracy_per_epoch": [13.61111111111111], "seed": 6768217667702062906, "fingerprint": "7872ac7b91dd8d53e9fdc2fbd036629ea2d79b4fdb80467b5aa0765b0038f470", "worker": "host-1-000000", "device": "cpu", "fitness": 9.439907239362775}');
INSERT INTO "moo_bnas_evaluations" VALUES('7872ac7b91dd8d53e9fdc2fbd036629ea2d79b4fdb80467b5aa0765b0038f470','0,3,3,3,3,2','c820c9cb7eb24de79bb628e15ed43b01',17,'{"epochs": 1, "train_seconds": 0.029, "images_per_second": 37302.9, "accuracy": 13.61111111111111, "accuracy_per_epoch": [13.61111111111111], "seed": 9223181774942727028, "fingerprint": "7872ac7b91dd8d53e9fdc2fbd036629ea2d79b4fdb80467b5aa0765b0038f470", "worker": "host-1-000000", "device": "cpu", "fitness": 10.79078443234523}');
INSERT INTO "moo_bnas_evaluations" VALUES('7872ac7b91dd8d53e9fdc2fbd036629ea2d79b4fdb80467b5aa0765b0038f470','0,0,2,3,2,2','5719dc12df2b4cd1b0c06a296a87c422',12,'{"epochs": 1, "train_seconds": 0.024, "images_per_second": 44539.5, "accuracy": 14.166666666666666, "accuracy_per_epoch": [14.166666666666666], "seed": 6552479194720189214, "fingerprint": "7872ac7b91dd8d53e9fdc2fbd036629ea2d79b4fdb80467b5aa0765b0038f470", "worker": "host-1-000000", "device": "cpu", "fitness": 12.458257713248639}');
INSERT INTO "moo_bnas_evaluations" VALUES('099e24d36d67bbfe91f040f176db08c082c6d7b9ea54c3a0f22d960fc10e0a6f','0,0,0,3,2,3','1d1e0f6903c1470aa23dc9ba141bb5a8',18,'{"epochs": 3, "train_seconds": 1.145, "images_per_second": 42147.4, "loss_per_epoch": [2.2510277141224253, 2.0677162517200816, 1.7975756905295632], "accuracy": 37.5, "top5": 81.38888888888889, "seed": 1546187334636074494, "artifact": "fde79989-c201-4451-8d00-22042ebce1cb", "weights_hash": "444211989a272aee7b7e517d511bc4fdd4f0e8e0377a38fc9a73b1eeafaed3fe", "fingerprint": "099e24d36d67bbfe91f040f176db08c082c6d7b9ea54c3a0f22d960fc10e0a6f", "worker": "host-2-000001", "device": "cpu", "fitness": 35.70205686630369}');
CREATE TABLE moo_bnas_schema (
	version INTEGER NOT NULL, 
	PRIMARY KEY (version)
);
INSERT INTO "moo_bnas_schema" VALUES(2);
CREATE TABLE moo_bnas_trials (
	trial_id INTEGER NOT NULL, 
	study_id INTEGER NOT NULL, 
	genotype VARCHAR(255) NOT NULL, 
	precision VARCHAR(16) NOT NULL, 
	status VARCHAR(16) NOT NULL, 
	cost FLOAT NOT NULL, 
	token VARCHAR(32), 
	worker VARCHAR(255), 
	heartbeat DATETIME, 
	losses INTEGER NOT NULL, 
	device_errors INTEGER NOT NULL, 
	alone BOOLEAN NOT NULL, 
	PRIMARY KEY (trial_id), 
	UNIQUE (study_id, genotype, precision)
);
INSERT INTO "moo_bnas_trials" VALUES(1,2,'0,0,0,0,0,0','binary','complete',718.5,'a8bf4718fd054a7a838e7365fbf799e6','host-1-000000','2026-11-21 15:11:45',0,0,0);
INSERT INTO "moo_bnas_trials" VALUES(2,2,'1,1,1,1,1,1','binary','complete',1509.0,'df9c6804d34d45a094241efebb9c97c9','host-1-000000','2026-11-21 15:11:45',0,0,0);
INSERT INTO "moo_bnas_trials" VALUES(3,2,'2,2,2,2,2,2','binary','complete',3306.0,'e2c1a059c12941338596ae6b842cfaf4','host-1-000000','2026-11-21 15:11:45',0,0,0);
INSERT INTO "moo_bnas_trials" VALUES(4,2,'3,3,3,3,3,3','binary','complete',7764.0,'879e015b70cb418694e969854cf491ea','host-1-000000','2026-11-21 15:11:45',0,0,0);
INSERT INTO "moo_bnas_trials" VALUES(5,2,'2,2,2,2,2,2','full','complete',40224.0,'7fbad4466c444538a910bf98680c1fe4','host-1-000000','2026-11-21 15:11:45',0,0,0);
INSERT INTO "moo_bnas_trials" VALUES(6,1,'0,0,0,0,0,0','binary','complete',718.5,'89f8506ddd0443648e203004e888a15b','host-1-000000','2026-11-21 15:11:45',0,0,0);
INSERT INTO "moo_bnas_trials" VALUES(7,1,'1,1,1,1,1,1','binary','complete',1509.0,'423f25407f234a51b52a45de98cbc9e7','host-1-000000','2026-11-21 15:11:45',0,0,0);
INSERT INTO "moo_bnas_trials" VALUES(8,1,'2,2,2,2,2,2','binary','complete',3306.0,'4d22d1ddb72540bf8c4b7c02cb0a7286','host-1-000000','2026-11-21 15:11:45',0,0,0);
INSERT INTO "moo_bnas_trials" VALUES(9,1,'3,3,3,3,3,3','binary','complete',7764.0,'4162244fd92249b9b80a8ce245d33801','host-1-000000','2026-11-21 15:11:43',0,0,0);
INSERT INTO "moo_bnas_trials" VALUES(10,1,'3,2,2,1,1,0','binary','complete',5635.75,'b1e89f1240444faebdd0eb0caddb3750','host-1-000000','2026-11-21 15:11:45',0,0,0);
INSERT INTO "moo_bnas_trials" VALUES(11,1,'0,0,0,3,2,3','binary','complete',1486.0,'f5db31a70efc421ebf98a991818cd4a7','host-1-000000','2026-11-21 15:11:45',0,0,0);
INSERT INTO "moo_bnas_trials" VALUES(12,1,'0,0,2,3,2,2','binary','complete',1412.0,'5719dc12df2b4cd1b0c06a296a87c422','host-1-000000','2026-11-21 15:11:45',0,0,0);
INSERT INTO "moo_bnas_trials" VALUES(13,1,'3,2,3,3,3,3','binary','complete',7328.0,'b5e307a04f55460cbad91b32f5078812','host-1-000000','2026-11-21 15:11:45',0,0,0);
INSERT INTO "moo_bnas_trials" VALUES(14,1,'2,2,0,2,2,3','binary','complete',3447.5,'2f0717c5b36e435ab1261488855ac5c5','host-1-000000','2026-11-21 15:11:45',0,0,0);
INSERT INTO "moo_bnas_trials" VALUES(15,1,'2,3,2,2,2,2','binary','complete',3526.0,'c86f16dc3087496d9b45c55263ff088b','host-1-000000','2026-11-21 15:11:45',0,0,0);
INSERT INTO "moo_bnas_trials" VALUES(16,1,'3,0,0,0,0,1','binary','complete',5310.75,'59eca686267741efbd1c66c6011d07d8','host-1-000000','2026-11-21 15:11:45',0,0,0);
INSERT INTO "moo_bnas_trials" VALUES(17,1,'0,3,3,3,3,2','binary','complete',2331.0,'c820c9cb7eb24de79bb628e15ed43b01','host-1-000000','2026-11-21 15:11:45',0,0,0);
INSERT INTO "moo_bnas_trials" VALUES(18,3,'0,0,0,3,2,3','binary','complete',1486.0,'1d1e0f6903c1470aa23dc9ba141bb5a8','host-2-000001','2026-11-21 15:11:51',0,0,0);
CREATE TABLE moo_bnas_workers (
	worker VARCHAR(255) NOT NULL, 
	study_id INTEGER NOT NULL, 
	host VARCHAR(255) NOT NULL, 
	pid INTEGER NOT NULL, 
	device VARCHAR(255) NOT NULL, 
	last_seen DATETIME NOT NULL, 
	grace FLOAT NOT NULL, 
	evaluations INTEGER NOT NULL, 
	PRIMARY KEY (worker)
);
INSERT INTO "moo_bnas_workers" VALUES('host-1-000000',1,'host/00000000-0',1,'cpu','2026-11-21 15:11:45',0.0,17);
INSERT INTO "moo_bnas_workers" VALUES('host-2-000001',1,'host/00000000-0',1,'cpu','2026-11-21 15:11:52',0.0,1);
CREATE TABLE studies (
	study_id INTEGER NOT NULL, 
	study_name VARCHAR(512) NOT NULL, 
	PRIMARY KEY (study_id)
);
INSERT INTO "studies" VALUES(1,'tiny-pareto-s0');
INSERT INTO "studies" VALUES(2,'tiny-pareto-s0.baselines');
INSERT INTO "studies" VALUES(3,'tiny-pareto-s0.final');
CREATE TABLE study_directions (
	study_direction_id INTEGER NOT NULL, 
	direction VARCHAR(8) NOT NULL, 
	study_id INTEGER NOT NULL, 
	objective INTEGER NOT NULL, 
	PRIMARY KEY (study_direction_id), 
	UNIQUE (study_id, objective), 
	FOREIGN KEY(study_id) REFERENCES studies (study_id)
);
INSERT INTO "study_directions" VALUES(1,'MAXIMIZE',1,0);
INSERT INTO "study_directions" VALUES(2,'MINIMIZE',1,1);
INSERT INTO "study_directions" VALUES(3,'MAXIMIZE',2,0);
INSERT INTO "study_directions" VALUES(4,'MINIMIZE',2,1);
INSERT INTO "study_directions" VALUES(5,'MAXIMIZE',3,0);
INSERT INTO "study_directions" VALUES(6,'MINIMIZE',3,1);
CREATE TABLE study_system_attributes (
	study_system_attribute_id INTEGER NOT NULL, 
	study_id INTEGER, 
	"key" VARCHAR(512), 
	value_json TEXT, 
	PRIMARY KEY (study_system_attribute_id), 
	UNIQUE (study_id, "key"), 
	FOREIGN KEY(study_id) REFERENCES studies (study_id)
);
INSERT INTO "study_system_attributes" VALUES(1,1,'study:metric_names','["accuracy", "flops"]');
INSERT INTO "study_system_attributes" VALUES(2,2,'study:metric_names','["accuracy", "flops"]');
INSERT INTO "study_system_attributes" VALUES(3,3,'study:metric_names','["accuracy", "flops"]');
CREATE TABLE study_user_attributes (
	study_user_attribute_id INTEGER NOT NULL, 
	study_id INTEGER, 
	"key" VARCHAR(512), 
	value_json TEXT, 
	PRIMARY KEY (study_user_attribute_id), 
	UNIQUE (study_id, "key"), 
	FOREIGN KEY(study_id) REFERENCES studies (study_id)
);
INSERT INTO "study_user_attributes" VALUES(2,1,'mode','"pareto"');
INSERT INTO "study_user_attributes" VALUES(3,1,'seed','0');
INSERT INTO "study_user_attributes" VALUES(4,1,'versions','{"python": "3.11.7", "moo-bnas": "0.1.0", "optuna": "5.0.0", "pymoo": "0.6.2", "numpy": "2.4.6", "torch": "2.15.0"}');
INSERT INTO "study_user_attributes" VALUES(7,2,'mode','"pareto"');
INSERT INTO "study_user_attributes" VALUES(8,2,'seed','0');
INSERT INTO "study_user_attributes" VALUES(9,2,'versions','{"python": "3.11.7", "moo-bnas": "0.1.0", "optuna": "5.0.0", "pymoo": "0.6.2", "numpy": "2.4.6", "torch": "2.15.0"}');
INSERT INTO "study_user_attributes" VALUES(11,1,'definition','{"name": "tiny", "description": "for tests", "network": {"name": "vgg_small", "binarizer": "dorefa", "base_width": 4, "stem": null}, "space": {"ratios": [0.25, 0.5, 1.0, 2.0]}, "data": {"name": "digits"}, "recipe": {"epochs": 1, "batch_size": 128, "learning_rate": 0.2, "schedule": "one_cycle", "warmup": 0.2, "milestones": [], "optimizer": "sgd", "momentum": 0.9, "weight_decay": 0.0, "label_smoothing": 0.0, "shift": 0, "flip": false, "random_resized_crop": false, "dtype": "fp32", "seed": 0}, "parent": null, "final": {"epochs": 3, "batch_size": 128, "learning_rate": 0.2, "schedule": "steps", "warmup": 0.2, "milestones": [2], "optimizer": "sgd", "momentum": 0.9, "weight_decay": 0.0, "label_smoothing": 0.0, "shift": 0, "flip": false, "random_resized_crop": false, "dtype": "fp32", "seed": 0}, "search": {"population": 6, "generations": 2, "trade_off": 4.0, "max_flops": null, "max_memory": null}}');
INSERT INTO "study_user_attributes" VALUES(13,2,'definition','{"name": "tiny", "description": "for tests", "network": {"name": "vgg_small", "binarizer": "dorefa", "base_width": 4, "stem": null}, "space": {"ratios": [0.25, 0.5, 1.0, 2.0]}, "data": {"name": "digits"}, "recipe": {"epochs": 1, "batch_size": 128, "learning_rate": 0.2, "schedule": "one_cycle", "warmup": 0.2, "milestones": [], "optimizer": "sgd", "momentum": 0.9, "weight_decay": 0.0, "label_smoothing": 0.0, "shift": 0, "flip": false, "random_resized_crop": false, "dtype": "fp32", "seed": 0}, "parent": null, "final": {"epochs": 3, "batch_size": 128, "learning_rate": 0.2, "schedule": "steps", "warmup": 0.2, "milestones": [2], "optimizer": "sgd", "momentum": 0.9, "weight_decay": 0.0, "label_smoothing": 0.0, "shift": 0, "flip": false, "random_resized_crop": false, "dtype": "fp32", "seed": 0}, "search": {"population": 6, "generations": 2, "trade_off": 4.0, "max_flops": null, "max_memory": null}}');
INSERT INTO "study_user_attributes" VALUES(15,1,'data_hash','"2d1a80a5fc378b908318dfad34b785a392602b7aae9eae9310e8784c57030bb0"');
INSERT INTO "study_user_attributes" VALUES(16,1,'finished','true');
INSERT INTO "study_user_attributes" VALUES(17,2,'finished','true');
INSERT INTO "study_user_attributes" VALUES(18,1,'artifacts','{"url": "/elsewhere/moo-bnas-artifacts", "marker": {"id": "71b32a73-f383-47f5-8782-e238aa40f6a4", "sha256": "7c9dbf763e1a0244c92661085006368230b99e92561d22983b492d0ab0e6af6d"}}');
INSERT INTO "study_user_attributes" VALUES(19,3,'mode','"pareto"');
INSERT INTO "study_user_attributes" VALUES(20,3,'seed','0');
INSERT INTO "study_user_attributes" VALUES(21,3,'versions','{"python": "3.11.7", "moo-bnas": "0.1.0", "optuna": "5.0.0", "pymoo": "0.6.2", "numpy": "2.4.6", "torch": "2.15.0"}');
INSERT INTO "study_user_attributes" VALUES(22,3,'definition','{"name": "tiny", "description": "for tests", "network": {"name": "vgg_small", "binarizer": "dorefa", "base_width": 4, "stem": null}, "space": {"ratios": [0.25, 0.5, 1.0, 2.0]}, "data": {"name": "digits"}, "recipe": {"epochs": 1, "batch_size": 128, "learning_rate": 0.2, "schedule": "one_cycle", "warmup": 0.2, "milestones": [], "optimizer": "sgd", "momentum": 0.9, "weight_decay": 0.0, "label_smoothing": 0.0, "shift": 0, "flip": false, "random_resized_crop": false, "dtype": "fp32", "seed": 0}, "parent": null, "final": {"epochs": 3, "batch_size": 128, "learning_rate": 0.2, "schedule": "steps", "warmup": 0.2, "milestones": [2], "optimizer": "sgd", "momentum": 0.9, "weight_decay": 0.0, "label_smoothing": 0.0, "shift": 0, "flip": false, "random_resized_crop": false, "dtype": "fp32", "seed": 0}, "search": {"population": 6, "generations": 2, "trade_off": 4.0, "max_flops": null, "max_memory": null}}');
INSERT INTO "study_user_attributes" VALUES(24,3,'data_hash','"2d1a80a5fc378b908318dfad34b785a392602b7aae9eae9310e8784c57030bb0"');
INSERT INTO "study_user_attributes" VALUES(25,3,'training 0','{}');
INSERT INTO "study_user_attributes" VALUES(26,3,'finished','true');
CREATE TABLE trial_heartbeats (
	trial_heartbeat_id INTEGER NOT NULL, 
	trial_id INTEGER NOT NULL, 
	heartbeat DATETIME NOT NULL, 
	PRIMARY KEY (trial_heartbeat_id), 
	UNIQUE (trial_id), 
	FOREIGN KEY(trial_id) REFERENCES trials (trial_id)
);
CREATE TABLE trial_intermediate_values (
	trial_intermediate_value_id INTEGER NOT NULL, 
	trial_id INTEGER NOT NULL, 
	step INTEGER NOT NULL, 
	intermediate_value FLOAT, 
	intermediate_value_type VARCHAR(7) NOT NULL, 
	PRIMARY KEY (trial_intermediate_value_id), 
	UNIQUE (trial_id, step), 
	FOREIGN KEY(trial_id) REFERENCES trials (trial_id)
);
CREATE TABLE trial_params (
	param_id INTEGER NOT NULL, 
	trial_id INTEGER, 
	param_name VARCHAR(512), 
	param_value FLOAT, 
	distribution_json TEXT, 
	PRIMARY KEY (param_id), 
	UNIQUE (trial_id, param_name), 
	FOREIGN KEY(trial_id) REFERENCES trials (trial_id)
);
INSERT INTO "trial_params" VALUES(1,1,'conv1',0.0,'{"name": "CategoricalDistribution", "attributes": {"choices": [0.25, 0.5, 1.0, 2.0]}}');
INSERT INTO "trial_params" VALUES(2,1,'conv2',0.0,'{"name": "CategoricalDistribution", "attributes": {"choices": [0.25, 0.5, 1.0, 2.0]}}');
INSERT INTO "trial_params" VALUES(3,1,'conv3',0.0,'{"name": "CategoricalDistribution", "attributes": {"choices": [0.25, 0.5, 1.0, 2.0]}}');
INSERT INTO "trial_params" VALUES(4,1,'conv4',0.0,'{"name": "CategoricalDistribution", "attributes": {"choices": [0.25, 0.5, 1.0, 2.0]}}');
INSERT INTO "trial_params" VALUES(5,1,'conv5',0.0,'{"name": "CategoricalDistribution", "attributes": {"choices": [0.25, 0.5, 1.0, 2.0]}}');
INSERT INTO "trial_params" VALUES(6,1,'conv6',0.0,'{"name": "CategoricalDistribution", "attributes": {"choices": [0.25, 0.5, 1.0, 2.0]}}');
INSERT INTO "trial_params" VALUES(7,2,'conv1',1.0,'{"name": "CategoricalDistribution", "attributes": {"choices": [0.25, 0.5, 1.0, 2.0]}}');
INSERT INTO "trial_params" VALUES(8,2,'conv2',1.0,'{"name": "CategoricalDistribution", "attributes": {"choices": [0.25, 0.5, 1.0, 2.0]}}');
INSERT INTO "trial_params" VALUES(9,2,'conv3',1.0,'{"name": "CategoricalDistribution", "attributes": {"choices": [0.25, 0.5, 1.0, 2.0]}}');
INSERT INTO "trial_params" VALUES(10,2,'conv4',1.0,'{"name": "CategoricalDistribution", "attributes": {"choices": [0.25, 0.5, 1.0, 2.0]}}');
INSERT INTO "trial_params" VALUES(11,2,'conv5',1.0,'{"name": "CategoricalDistribution", "attributes": {"choices": [0.25, 0.5, 1.0, 2.0]}}');
INSERT INTO "trial_params" VALUES(12,2,'conv6',1.0,'{"name": "CategoricalDistribution", "attributes": {"choices": [0.25, 0.5, 1.0, 2.0]}}');
INSERT INTO "trial_params" VALUES(13,3,'conv1',2.0,'{"name": "CategoricalDistribution", "attributes": {"choices": [0.25, 0.5, 1.0, 2.0]}}');
INSERT INTO "trial_params" VALUES(14,3,'conv2',2.0,'{"name": "CategoricalDistribution", "attributes": {"choices": [0.25, 0.5, 1.0, 2.0]}}');
INSERT INTO "trial_params" VALUES(15,3,'conv3',2.0,'{"name": "CategoricalDistribution", "attributes": {"choices": [0.25, 0.5, 1.0, 2.0]}}');
INSERT INTO "trial_params" VALUES(16,3,'conv4',2.0,'{"name": "CategoricalDistribution", "attributes": {"choices": [0.25, 0.5, 1.0, 2.0]}}');
INSERT INTO "trial_params" VALUES(17,3,'conv5',2.0,'{"name": "CategoricalDistribution", "attributes": {"choices": [0.25, 0.5, 1.0, 2.0]}}');
INSERT INTO "trial_params" VALUES(18,3,'conv6',2.0,'{"name": "CategoricalDistribution", "attributes": {"choices": [0.25, 0.5, 1.0, 2.0]}}');
INSERT INTO "trial_params" VALUES(19,4,'conv1',3.0,'{"name": "CategoricalDistribution", "attributes": {"choices": [0.25, 0.5, 1.0, 2.0]}}');
INSERT INTO "trial_params" VALUES(20,4,'conv2',3.0,'{"name": "CategoricalDistribution", "attributes": {"choices": [0.25, 0.5, 1.0, 2.0]}}');
INSERT INTO "trial_params" VALUES(21,4,'conv3',3.0,'{"name": "CategoricalDistribution", "attributes": {"choices": [0.25, 0.5, 1.0, 2.0]}}');
INSERT INTO "trial_params" VALUES(22,4,'conv4',3.0,'{"name": "CategoricalDistribution", "attributes": {"choices": [0.25, 0.5, 1.0, 2.0]}}');
INSERT INTO "trial_params" VALUES(23,4,'conv5',3.0,'{"name": "CategoricalDistribution", "attributes": {"choices": [0.25, 0.5, 1.0, 2.0]}}');
INSERT INTO "trial_params" VALUES(24,4,'conv6',3.0,'{"name": "CategoricalDistribution", "attributes": {"choices": [0.25, 0.5, 1.0, 2.0]}}');
INSERT INTO "trial_params" VALUES(25,5,'conv1',2.0,'{"name": "CategoricalDistribution", "attributes": {"choices": [0.25, 0.5, 1.0, 2.0]}}');
INSERT INTO "trial_params" VALUES(26,5,'conv2',2.0,'{"name": "CategoricalDistribution", "attributes": {"choices": [0.25, 0.5, 1.0, 2.0]}}');
INSERT INTO "trial_params" VALUES(27,5,'conv3',2.0,'{"name": "CategoricalDistribution", "attributes": {"choices": [0.25, 0.5, 1.0, 2.0]}}');
INSERT INTO "trial_params" VALUES(28,5,'conv4',2.0,'{"name": "CategoricalDistribution", "attributes": {"choices": [0.25, 0.5, 1.0, 2.0]}}');
INSERT INTO "trial_params" VALUES(29,5,'conv5',2.0,'{"name": "CategoricalDistribution", "attributes": {"choices": [0.25, 0.5, 1.0, 2.0]}}');
INSERT INTO "trial_params" VALUES(30,5,'conv6',2.0,'{"name": "CategoricalDistribution", "attributes": {"choices": [0.25, 0.5, 1.0, 2.0]}}');
INSERT INTO "trial_params" VALUES(31,6,'conv1',0.0,'{"name": "CategoricalDistribution", "attributes": {"choices": [0.25, 0.5, 1.0, 2.0]}}');
INSERT INTO "trial_params" VALUES(32,6,'conv2',0.0,'{"name": "CategoricalDistribution", "attributes": {"choices": [0.25, 0.5, 1.0, 2.0]}}');
INSERT INTO "trial_params" VALUES(33,6,'conv3',0.0,'{"name": "CategoricalDistribution", "attributes": {"choices": [0.25, 0.5, 1.0, 2.0]}}');
INSERT INTO "trial_params" VALUES(34,6,'conv4',0.0,'{"name": "CategoricalDistribution", "attributes": {"choices": [0.25, 0.5, 1.0, 2.0]}}');
INSERT INTO "trial_params" VALUES(35,6,'conv5',0.0,'{"name": "CategoricalDistribution", "attributes": {"choices": [0.25, 0.5, 1.0, 2.0]}}');
INSERT INTO "trial_params" VALUES(36,6,'conv6',0.0,'{"name": "CategoricalDistribution", "attributes": {"choices": [0.25, 0.5, 1.0, 2.0]}}');
INSERT INTO "trial_params" VALUES(37,7,'conv1',1.0,'{"name": "CategoricalDistribution", "attributes": {"choices": [0.25, 0.5, 1.0, 2.0]}}');
INSERT INTO "trial_params" VALUES(38,7,'conv2',1.0,'{"name": "CategoricalDistribution", "attributes": {"choices": [0.25, 0.5, 1.0, 2.0]}}');
INSERT INTO "trial_params" VALUES(39,7,'conv3',1.0,'{"name": "CategoricalDistribution", "attributes": {"choices": [0.25, 0.5, 1.0, 2.0]}}');
INSERT INTO "trial_params" VALUES(40,7,'conv4',1.0,'{"name": "CategoricalDistribution", "attributes": {"choices": [0.25, 0.5, 1.0, 2.0]}}');
INSERT INTO "trial_params" VALUES(41,7,'conv5',1.0,'{"name": "CategoricalDistribution", "attributes": {"choices": [0.25, 0.5, 1.0, 2.0]}}');
INSERT INTO "trial_params" VALUES(42,7,'conv6',1.0,'{"name": "CategoricalDistribution", "attributes": {"choices": [0.25, 0.5, 1.0, 2.0]}}');
INSERT INTO "trial_params" VALUES(43,8,'conv1',2.0,'{"name": "CategoricalDistribution", "attributes": {"choices": [0.25, 0.5, 1.0, 2.0]}}');
INSERT INTO "trial_params" VALUES(44,8,'conv2',2.0,'{"name": "CategoricalDistribution", "attributes": {"choices": [0.25, 0.5, 1.0, 2.0]}}');
INSERT INTO "trial_params" VALUES(45,8,'conv3',2.0,'{"name": "CategoricalDistribution", "attributes": {"choices": [0.25, 0.5, 1.0, 2.0]}}');
INSERT INTO "trial_params" VALUES(46,8,'conv4',2.0,'{"name": "CategoricalDistribution", "attributes": {"choices": [0.25, 0.5, 1.0, 2.0]}}');
INSERT INTO "trial_params" VALUES(47,8,'conv5',2.0,'{"name": "CategoricalDistribution", "attributes": {"choices": [0.25, 0.5, 1.0, 2.0]}}');
INSERT INTO "trial_params" VALUES(48,8,'conv6',2.0,'{"name": "CategoricalDistribution", "attributes": {"choices": [0.25, 0.5, 1.0, 2.0]}}');
INSERT INTO "trial_params" VALUES(49,9,'conv1',3.0,'{"name": "CategoricalDistribution", "attributes": {"choices": [0.25, 0.5, 1.0, 2.0]}}');
INSERT INTO "trial_params" VALUES(50,9,'conv2',3.0,'{"name": "CategoricalDistribution", "attributes": {"choices": [0.25, 0.5, 1.0, 2.0]}}');
INSERT INTO "trial_params" VALUES(51,9,'conv3',3.0,'{"name": "CategoricalDistribution", "attributes": {"choices": [0.25, 0.5, 1.0, 2.0]}}');
INSERT INTO "trial_params" VALUES(52,9,'conv4',3.0,'{"name": "CategoricalDistribution", "attributes": {"choices": [0.25, 0.5, 1.0, 2.0]}}');
INSERT INTO "trial_params" VALUES(53,9,'conv5',3.0,'{"name": "CategoricalDistribution", "attributes": {"choices": [0.25, 0.5, 1.0, 2.0]}}');
INSERT INTO "trial_params" VALUES(54,9,'conv6',3.0,'{"name": "CategoricalDistribution", "attributes": {"choices": [0.25, 0.5, 1.0, 2.0]}}');
INSERT INTO "trial_params" VALUES(55,10,'conv1',3.0,'{"name": "CategoricalDistribution", "attributes": {"choices": [0.25, 0.5, 1.0, 2.0]}}');
INSERT INTO "trial_params" VALUES(56,10,'conv2',2.0,'{"name": "CategoricalDistribution", "attributes": {"choices": [0.25, 0.5, 1.0, 2.0]}}');
INSERT INTO "trial_params" VALUES(57,10,'conv3',2.0,'{"name": "CategoricalDistribution", "attributes": {"choices": [0.25, 0.5, 1.0, 2.0]}}');
INSERT INTO "trial_params" VALUES(58,10,'conv4',1.0,'{"name": "CategoricalDistribution", "attributes": {"choices": [0.25, 0.5, 1.0, 2.0]}}');
INSERT INTO "trial_params" VALUES(59,10,'conv5',1.0,'{"name": "CategoricalDistribution", "attributes": {"choices": [0.25, 0.5, 1.0, 2.0]}}');
INSERT INTO "trial_params" VALUES(60,10,'conv6',0.0,'{"name": "CategoricalDistribution", "attributes": {"choices": [0.25, 0.5, 1.0, 2.0]}}');
INSERT INTO "trial_params" VALUES(61,11,'conv1',0.0,'{"name": "CategoricalDistribution", "attributes": {"choices": [0.25, 0.5, 1.0, 2.0]}}');
INSERT INTO "trial_params" VALUES(62,11,'conv2',0.0,'{"name": "CategoricalDistribution", "attributes": {"choices": [0.25, 0.5, 1.0, 2.0]}}');
INSERT INTO "trial_params" VALUES(63,11,'conv3',0.0,'{"name": "CategoricalDistribution", "attributes": {"choices": [0.25, 0.5, 1.0, 2.0]}}');
INSERT INTO "trial_params" VALUES(64,11,'conv4',3.0,'{"name": "CategoricalDistribution", "attributes": {"choices": [0.25, 0.5, 1.0, 2.0]}}');
INSERT INTO "trial_params" VALUES(65,11,'conv5',2.0,'{"name": "CategoricalDistribution", "attributes": {"choices": [0.25, 0.5, 1.0, 2.0]}}');
INSERT INTO "trial_params" VALUES(66,11,'conv6',3.0,'{"name": "CategoricalDistribution", "attributes": {"choices": [0.25, 0.5, 1.0, 2.0]}}');
INSERT INTO "trial_params" VALUES(67,12,'conv1',0.0,'{"name": "CategoricalDistribution", "attributes": {"choices": [0.25, 0.5, 1.0, 2.0]}}');
INSERT INTO "trial_params" VALUES(68,12,'conv2',0.0,'{"name": "CategoricalDistribution", "attributes": {"choices": [0.25, 0.5, 1.0, 2.0]}}');
INSERT INTO "trial_params" VALUES(69,12,'conv3',2.0,'{"name": "CategoricalDistribution", "attributes": {"choices": [0.25, 0.5, 1.0, 2.0]}}');
INSERT INTO "trial_params" VALUES(70,12,'conv4',3.0,'{"name": "CategoricalDistribution", "attributes": {"choices": [0.25, 0.5, 1.0, 2.0]}}');
INSERT INTO "trial_params" VALUES(71,12,'conv5',2.0,'{"name": "CategoricalDistribution", "attributes": {"choices": [0.25, 0.5, 1.0, 2.0]}}');
INSERT INTO "trial_params" VALUES(72,12,'conv6',2.0,'{"name": "CategoricalDistribution", "attributes": {"choices": [0.25, 0.5, 1.0, 2.0]}}');
INSERT INTO "trial_params" VALUES(73,13,'conv1',3.0,'{"name": "CategoricalDistribution", "attributes": {"choices": [0.25, 0.5, 1.0, 2.0]}}');
INSERT INTO "trial_params" VALUES(74,13,'conv2',2.0,'{"name": "CategoricalDistribution", "attributes": {"choices": [0.25, 0.5, 1.0, 2.0]}}');
INSERT INTO "trial_params" VALUES(75,13,'conv3',3.0,'{"name": "CategoricalDistribution", "attributes": {"choices": [0.25, 0.5, 1.0, 2.0]}}');
INSERT INTO "trial_params" VALUES(76,13,'conv4',3.0,'{"name": "CategoricalDistribution", "attributes": {"choices": [0.25, 0.5, 1.0, 2.0]}}');
INSERT INTO "trial_params" VALUES(77,13,'conv5',3.0,'{"name": "CategoricalDistribution", "attributes": {"choices": [0.25, 0.5, 1.0, 2.0]}}');
INSERT INTO "trial_params" VALUES(78,13,'conv6',3.0,'{"name": "CategoricalDistribution", "attributes": {"choices": [0.25, 0.5, 1.0, 2.0]}}');
INSERT INTO "trial_params" VALUES(79,14,'conv1',2.0,'{"name": "CategoricalDistribution", "attributes": {"choices": [0.25, 0.5, 1.0, 2.0]}}');
INSERT INTO "trial_params" VALUES(80,14,'conv2',2.0,'{"name": "CategoricalDistribution", "attributes": {"choices": [0.25, 0.5, 1.0, 2.0]}}');
INSERT INTO "trial_params" VALUES(81,14,'conv3',0.0,'{"name": "CategoricalDistribution", "attributes": {"choices": [0.25, 0.5, 1.0, 2.0]}}');
INSERT INTO "trial_params" VALUES(82,14,'conv4',2.0,'{"name": "CategoricalDistribution", "attributes": {"choices": [0.25, 0.5, 1.0, 2.0]}}');
INSERT INTO "trial_params" VALUES(83,14,'conv5',2.0,'{"name": "CategoricalDistribution", "attributes": {"choices": [0.25, 0.5, 1.0, 2.0]}}');
INSERT INTO "trial_params" VALUES(84,14,'conv6',3.0,'{"name": "CategoricalDistribution", "attributes": {"choices": [0.25, 0.5, 1.0, 2.0]}}');
INSERT INTO "trial_params" VALUES(85,15,'conv1',2.0,'{"name": "CategoricalDistribution", "attributes": {"choices": [0.25, 0.5, 1.0, 2.0]}}');
INSERT INTO "trial_params" VALUES(86,15,'conv2',3.0,'{"name": "CategoricalDistribution", "attributes": {"choices": [0.25, 0.5, 1.0, 2.0]}}');
INSERT INTO "trial_params" VALUES(87,15,'conv3',2.0,'{"name": "CategoricalDistribution", "attributes": {"choices": [0.25, 0.5, 1.0, 2.0]}}');
INSERT INTO "trial_params" VALUES(88,15,'conv4',2.0,'{"name": "CategoricalDistribution", "attributes": {"choices": [0.25, 0.5, 1.0, 2.0]}}');
INSERT INTO "trial_params" VALUES(89,15,'conv5',2.0,'{"name": "CategoricalDistribution", "attributes": {"choices": [0.25, 0.5, 1.0, 2.0]}}');
INSERT INTO "trial_params" VALUES(90,15,'conv6',2.0,'{"name": "CategoricalDistribution", "attributes": {"choices": [0.25, 0.5, 1.0, 2.0]}}');
INSERT INTO "trial_params" VALUES(91,16,'conv1',3.0,'{"name": "CategoricalDistribution", "attributes": {"choices": [0.25, 0.5, 1.0, 2.0]}}');
INSERT INTO "trial_params" VALUES(92,16,'conv2',0.0,'{"name": "CategoricalDistribution", "attributes": {"choices": [0.25, 0.5, 1.0, 2.0]}}');
INSERT INTO "trial_params" VALUES(93,16,'conv3',0.0,'{"name": "CategoricalDistribution", "attributes": {"choices": [0.25, 0.5, 1.0, 2.0]}}');
INSERT INTO "trial_params" VALUES(94,16,'conv4',0.0,'{"name": "CategoricalDistribution", "attributes": {"choices": [0.25, 0.5, 1.0, 2.0]}}');
INSERT INTO "trial_params" VALUES(95,16,'conv5',0.0,'{"name": "CategoricalDistribution", "attributes": {"choices": [0.25, 0.5, 1.0, 2.0]}}');
INSERT INTO "trial_params" VALUES(96,16,'conv6',1.0,'{"name": "CategoricalDistribution", "attributes": {"choices": [0.25, 0.5, 1.0, 2.0]}}');
INSERT INTO "trial_params" VALUES(97,17,'conv1',0.0,'{"name": "CategoricalDistribution", "attributes": {"choices": [0.25, 0.5, 1.0, 2.0]}}');
INSERT INTO "trial_params" VALUES(98,17,'conv2',3.0,'{"name": "CategoricalDistribution", "attributes": {"choices": [0.25, 0.5, 1.0, 2.0]}}');
INSERT INTO "trial_params" VALUES(99,17,'conv3',3.0,'{"name": "CategoricalDistribution", "attributes": {"choices": [0.25, 0.5, 1.0, 2.0]}}');
INSERT INTO "trial_params" VALUES(100,17,'conv4',3.0,'{"name": "CategoricalDistribution", "attributes": {"choices": [0.25, 0.5, 1.0, 2.0]}}');
INSERT INTO "trial_params" VALUES(101,17,'conv5',3.0,'{"name": "CategoricalDistribution", "attributes": {"choices": [0.25, 0.5, 1.0, 2.0]}}');
INSERT INTO "trial_params" VALUES(102,17,'conv6',2.0,'{"name": "CategoricalDistribution", "attributes": {"choices": [0.25, 0.5, 1.0, 2.0]}}');
INSERT INTO "trial_params" VALUES(103,18,'conv1',0.0,'{"name": "CategoricalDistribution", "attributes": {"choices": [0.25, 0.5, 1.0, 2.0]}}');
INSERT INTO "trial_params" VALUES(104,18,'conv2',0.0,'{"name": "CategoricalDistribution", "attributes": {"choices": [0.25, 0.5, 1.0, 2.0]}}');
INSERT INTO "trial_params" VALUES(105,18,'conv3',0.0,'{"name": "CategoricalDistribution", "attributes": {"choices": [0.25, 0.5, 1.0, 2.0]}}');
INSERT INTO "trial_params" VALUES(106,18,'conv4',3.0,'{"name": "CategoricalDistribution", "attributes": {"choices": [0.25, 0.5, 1.0, 2.0]}}');
INSERT INTO "trial_params" VALUES(107,18,'conv5',2.0,'{"name": "CategoricalDistribution", "attributes": {"choices": [0.25, 0.5, 1.0, 2.0]}}');
INSERT INTO "trial_params" VALUES(108,18,'conv6',3.0,'{"name": "CategoricalDistribution", "attributes": {"choices": [0.25, 0.5, 1.0, 2.0]}}');
CREATE TABLE trial_system_attributes (
	trial_system_attribute_id INTEGER NOT NULL, 
	trial_id INTEGER, 
	"key" VARCHAR(512), 
	value_json TEXT, 
	PRIMARY KEY (trial_system_attribute_id), 
	UNIQUE (trial_id, "key"), 
	FOREIGN KEY(trial_id) REFERENCES trials (trial_id)
);
CREATE TABLE trial_user_attributes (
	trial_user_attribute_id INTEGER NOT NULL, 
	trial_id INTEGER, 
	"key" VARCHAR(512), 
	value_json TEXT, 
	PRIMARY KEY (trial_user_attribute_id), 
	UNIQUE (trial_id, "key"), 
	FOREIGN KEY(trial_id) REFERENCES trials (trial_id)
);
INSERT INTO "trial_user_attributes" VALUES(1,1,'genotype','[0, 0, 0, 0, 0, 0]');
INSERT INTO "trial_user_attributes" VALUES(2,1,'precision','"binary"');
INSERT INTO "trial_user_attributes" VALUES(3,1,'flops','718.5');
INSERT INTO "trial_user_attributes" VALUES(4,1,'memory_bits','1847');
INSERT INTO "trial_user_attributes" VALUES(5,2,'genotype','[1, 1, 1, 1, 1, 1]');
INSERT INTO "trial_user_attributes" VALUES(6,2,'precision','"binary"');
INSERT INTO "trial_user_attributes" VALUES(7,2,'flops','1509.0');
INSERT INTO "trial_user_attributes" VALUES(8,2,'memory_bits','4252');
INSERT INTO "trial_user_attributes" VALUES(9,3,'genotype','[2, 2, 2, 2, 2, 2]');
INSERT INTO "trial_user_attributes" VALUES(10,3,'precision','"binary"');
INSERT INTO "trial_user_attributes" VALUES(11,3,'flops','3306.0');
INSERT INTO "trial_user_attributes" VALUES(12,3,'memory_bits','10736');
INSERT INTO "trial_user_attributes" VALUES(13,4,'genotype','[3, 3, 3, 3, 3, 3]');
INSERT INTO "trial_user_attributes" VALUES(14,4,'precision','"binary"');
INSERT INTO "trial_user_attributes" VALUES(15,4,'flops','7764.0');
INSERT INTO "trial_user_attributes" VALUES(16,4,'memory_bits','30400');
INSERT INTO "trial_user_attributes" VALUES(17,5,'genotype','[2, 2, 2, 2, 2, 2]');
INSERT INTO "trial_user_attributes" VALUES(18,5,'precision','"full"');
INSERT INTO "trial_user_attributes" VALUES(19,5,'flops','40224.0');
INSERT INTO "trial_user_attributes" VALUES(20,5,'memory_bits','149120');
INSERT INTO "trial_user_attributes" VALUES(21,6,'genotype','[0, 0, 0, 0, 0, 0]');
INSERT INTO "trial_user_attributes" VALUES(22,6,'precision','"binary"');
INSERT INTO "trial_user_attributes" VALUES(23,6,'flops','718.5');
INSERT INTO "trial_user_attributes" VALUES(24,6,'memory_bits','1847');
INSERT INTO "trial_user_attributes" VALUES(25,6,'generation','1');
INSERT INTO "trial_user_attributes" VALUES(26,7,'genotype','[1, 1, 1, 1, 1, 1]');
INSERT INTO "trial_user_attributes" VALUES(27,7,'precision','"binary"');
INSERT INTO "trial_user_attributes" VALUES(28,7,'flops','1509.0');
INSERT INTO "trial_user_attributes" VALUES(29,7,'memory_bits','4252');
INSERT INTO "trial_user_attributes" VALUES(30,7,'generation','1');
INSERT INTO "trial_user_attributes" VALUES(31,8,'genotype','[2, 2, 2, 2, 2, 2]');
INSERT INTO "trial_user_attributes" VALUES(32,8,'precision','"binary"');
INSERT INTO "trial_user_attributes" VALUES(33,8,'flops','3306.0');
INSERT INTO "trial_user_attributes" VALUES(34,8,'memory_bits','10736');
INSERT INTO "trial_user_attributes" VALUES(35,8,'generation','1');
INSERT INTO "trial_user_attributes" VALUES(36,9,'genotype','[3, 3, 3, 3, 3, 3]');
INSERT INTO "trial_user_attributes" VALUES(37,9,'precision','"binary"');
INSERT INTO "trial_user_attributes" VALUES(38,9,'flops','7764.0');
INSERT INTO "trial_user_attributes" VALUES(39,9,'memory_bits','30400');
INSERT INTO "trial_user_attributes" VALUES(40,9,'generation','1');
INSERT INTO "trial_user_attributes" VALUES(41,10,'genotype','[3, 2, 2, 1, 1, 0]');
INSERT INTO "trial_user_attributes" VALUES(42,10,'precision','"binary"');
INSERT INTO "trial_user_attributes" VALUES(43,10,'flops','5635.75');
INSERT INTO "trial_user_attributes" VALUES(44,10,'memory_bits','5024');
INSERT INTO "trial_user_attributes" VALUES(45,10,'generation','1');
INSERT INTO "trial_user_attributes" VALUES(46,11,'genotype','[0, 0, 0, 3, 2, 3]');
INSERT INTO "trial_user_attributes" VALUES(47,11,'precision','"binary"');
INSERT INTO "trial_user_attributes" VALUES(48,11,'flops','1486.0');
INSERT INTO "trial_user_attributes" VALUES(49,11,'memory_bits','17755');
INSERT INTO "trial_user_attributes" VALUES(50,11,'generation','1');
INSERT INTO "trial_user_attributes" VALUES(51,9,'epochs','1');
INSERT INTO "trial_user_attributes" VALUES(52,9,'train_seconds','0.038');
INSERT INTO "trial_user_attributes" VALUES(53,9,'images_per_second','27995.5');
INSERT INTO "trial_user_attributes" VALUES(54,9,'accuracy','16.944444444444443');
INSERT INTO "trial_user_attributes" VALUES(55,9,'accuracy_per_epoch','[16.944444444444443]');
INSERT INTO "trial_user_attributes" VALUES(56,9,'seed','5520179362788914077');
INSERT INTO "trial_user_attributes" VALUES(57,9,'fingerprint','"7872ac7b91dd8d53e9fdc2fbd036629ea2d79b4fdb80467b5aa0765b0038f470"');
INSERT INTO "trial_user_attributes" VALUES(58,9,'worker','"host-1-000000"');
INSERT INTO "trial_user_attributes" VALUES(59,9,'device','"cpu"');
INSERT INTO "trial_user_attributes" VALUES(60,9,'fitness','7.5506150433555135');
INSERT INTO "trial_user_attributes" VALUES(61,10,'epochs','1');
INSERT INTO "trial_user_attributes" VALUES(62,10,'train_seconds','0.028');
INSERT INTO "trial_user_attributes" VALUES(63,10,'images_per_second','37893.7');
INSERT INTO "trial_user_attributes" VALUES(64,10,'accuracy','8.055555555555555');
INSERT INTO "trial_user_attributes" VALUES(65,10,'accuracy_per_epoch','[8.055555555555555]');
INSERT INTO "trial_user_attributes" VALUES(66,10,'seed','7963333391080892378');
INSERT INTO "trial_user_attributes" VALUES(67,10,'fingerprint','"7872ac7b91dd8d53e9fdc2fbd036629ea2d79b4fdb80467b5aa0765b0038f470"');
INSERT INTO "trial_user_attributes" VALUES(68,10,'worker','"host-1-000000"');
INSERT INTO "trial_user_attributes" VALUES(69,10,'device','"cpu"');
INSERT INTO "trial_user_attributes" VALUES(70,10,'fitness','1.2367412784835654');
INSERT INTO "trial_user_attributes" VALUES(71,8,'epochs','1');
INSERT INTO "trial_user_attributes" VALUES(72,8,'train_seconds','0.028');
INSERT INTO "trial_user_attributes" VALUES(73,8,'images_per_second','38390.4');
INSERT INTO "trial_user_attributes" VALUES(74,8,'accuracy','12.777777777777779');
INSERT INTO "trial_user_attributes" VALUES(75,8,'accuracy_per_epoch','[12.777777777777779]');
INSERT INTO "trial_user_attributes" VALUES(76,8,'seed','5019098495679491824');
INSERT INTO "trial_user_attributes" VALUES(77,8,'fingerprint','"7872ac7b91dd8d53e9fdc2fbd036629ea2d79b4fdb80467b5aa0765b0038f470"');
INSERT INTO "trial_user_attributes" VALUES(78,8,'worker','"host-1-000000"');
INSERT INTO "trial_user_attributes" VALUES(79,8,'device','"cpu"');
INSERT INTO "trial_user_attributes" VALUES(80,8,'fitness','8.777777777777779');
INSERT INTO "trial_user_attributes" VALUES(81,7,'epochs','1');
INSERT INTO "trial_user_attributes" VALUES(82,7,'train_seconds','0.027');
INSERT INTO "trial_user_attributes" VALUES(83,7,'images_per_second','39848.3');
INSERT INTO "trial_user_attributes" VALUES(84,7,'accuracy','12.5');
INSERT INTO "trial_user_attributes" VALUES(85,7,'accuracy_per_epoch','[12.5]');
INSERT INTO "trial_user_attributes" VALUES(86,7,'seed','6154360814801411646');
INSERT INTO "trial_user_attributes" VALUES(87,7,'fingerprint','"7872ac7b91dd8d53e9fdc2fbd036629ea2d79b4fdb80467b5aa0765b0038f470"');
INSERT INTO "trial_user_attributes" VALUES(88,7,'worker','"host-1-000000"');
INSERT INTO "trial_user_attributes" VALUES(89,7,'device','"cpu"');
INSERT INTO "trial_user_attributes" VALUES(90,7,'fitness','10.674228675136117');
INSERT INTO "trial_user_attributes" VALUES(91,11,'epochs','1');
INSERT INTO "trial_user_attributes" VALUES(92,11,'train_seconds','0.026');
INSERT INTO "trial_user_attributes" VALUES(93,11,'images_per_second','40513.2');
INSERT INTO "trial_user_attributes" VALUES(94,11,'accuracy','15.0');
INSERT INTO "trial_user_attributes" VALUES(95,11,'accuracy_per_epoch','[15.0]');
INSERT INTO "trial_user_attributes" VALUES(96,11,'seed','1546187334636074494');
INSERT INTO "trial_user_attributes" VALUES(97,11,'fingerprint','"7872ac7b91dd8d53e9fdc2fbd036629ea2d79b4fdb80467b5aa0765b0038f470"');
INSERT INTO "trial_user_attributes" VALUES(98,11,'worker','"host-1-000000"');
INSERT INTO "trial_user_attributes" VALUES(99,11,'device','"cpu"');
INSERT INTO "trial_user_attributes" VALUES(100,11,'fitness','13.20205686630369');
INSERT INTO "trial_user_attributes" VALUES(101,6,'epochs','1');
INSERT INTO "trial_user_attributes" VALUES(102,6,'train_seconds','0.024');
INSERT INTO "trial_user_attributes" VALUES(103,6,'images_per_second','44957.2');
INSERT INTO "trial_user_attributes" VALUES(104,6,'accuracy','13.333333333333334');
INSERT INTO "trial_user_attributes" VALUES(105,6,'accuracy_per_epoch','[13.333333333333334]');
INSERT INTO "trial_user_attributes" VALUES(106,6,'seed','6477603056883398312');
INSERT INTO "trial_user_attributes" VALUES(107,6,'fingerprint','"7872ac7b91dd8d53e9fdc2fbd036629ea2d79b4fdb80467b5aa0765b0038f470"');
INSERT INTO "trial_user_attributes" VALUES(108,6,'worker','"host-1-000000"');
INSERT INTO "trial_user_attributes" VALUES(109,6,'device','"cpu"');
INSERT INTO "trial_user_attributes" VALUES(110,6,'fitness','12.46400483968542');
INSERT INTO "trial_user_attributes" VALUES(111,5,'epochs','1');
INSERT INTO "trial_user_attributes" VALUES(112,5,'train_seconds','0.024');
INSERT INTO "trial_user_attributes" VALUES(113,5,'images_per_second','45449.6');
INSERT INTO "trial_user_attributes" VALUES(114,5,'accuracy','43.611111111111114');
INSERT INTO "trial_user_attributes" VALUES(115,5,'accuracy_per_epoch','[43.611111111111114]');
INSERT INTO "trial_user_attributes" VALUES(116,5,'seed','5019098495679491824');
INSERT INTO "trial_user_attributes" VALUES(117,5,'fingerprint','"5ebd14b0e87820fdcef927927aa330d332db26cc65c6fec23f96feed0103c8c7"');
INSERT INTO "trial_user_attributes" VALUES(118,5,'worker','"host-1-000000"');
INSERT INTO "trial_user_attributes" VALUES(119,5,'device','"cpu"');
INSERT INTO "trial_user_attributes" VALUES(120,5,'fitness','0.0');
INSERT INTO "trial_user_attributes" VALUES(121,4,'epochs','1');
INSERT INTO "trial_user_attributes" VALUES(122,4,'train_seconds','0.038');
INSERT INTO "trial_user_attributes" VALUES(123,4,'images_per_second','27995.5');
INSERT INTO "trial_user_attributes" VALUES(124,4,'accuracy','16.944444444444443');
INSERT INTO "trial_user_attributes" VALUES(125,4,'accuracy_per_epoch','[16.944444444444443]');
INSERT INTO "trial_user_attributes" VALUES(126,4,'seed','5520179362788914077');
INSERT INTO "trial_user_attributes" VALUES(127,4,'fingerprint','"7872ac7b91dd8d53e9fdc2fbd036629ea2d79b4fdb80467b5aa0765b0038f470"');
INSERT INTO "trial_user_attributes" VALUES(128,4,'worker','"host-1-000000"');
INSERT INTO "trial_user_attributes" VALUES(129,4,'device','"cpu"');
INSERT INTO "trial_user_attributes" VALUES(130,4,'fitness','7.5506150433555135');
INSERT INTO "trial_user_attributes" VALUES(131,4,'copied_from','"tiny-pareto-s0 trial 3"');
INSERT INTO "trial_user_attributes" VALUES(132,3,'epochs','1');
INSERT INTO "trial_user_attributes" VALUES(133,3,'train_seconds','0.028');
INSERT INTO "trial_user_attributes" VALUES(134,3,'images_per_second','38390.4');
INSERT INTO "trial_user_attributes" VALUES(135,3,'accuracy','12.777777777777779');
INSERT INTO "trial_user_attributes" VALUES(136,3,'accuracy_per_epoch','[12.777777777777779]');
INSERT INTO "trial_user_attributes" VALUES(137,3,'seed','5019098495679491824');
INSERT INTO "trial_user_attributes" VALUES(138,3,'fingerprint','"7872ac7b91dd8d53e9fdc2fbd036629ea2d79b4fdb80467b5aa0765b0038f470"');
INSERT INTO "trial_user_attributes" VALUES(139,3,'worker','"host-1-000000"');
INSERT INTO "trial_user_attributes" VALUES(140,3,'device','"cpu"');
INSERT INTO "trial_user_attributes" VALUES(141,3,'fitness','8.777777777777779');
INSERT INTO "trial_user_attributes" VALUES(142,3,'copied_from','"tiny-pareto-s0 trial 2"');
INSERT INTO "trial_user_attributes" VALUES(143,2,'epochs','1');
INSERT INTO "trial_user_attributes" VALUES(144,2,'train_seconds','0.027');
INSERT INTO "trial_user_attributes" VALUES(145,2,'images_per_second','39848.3');
INSERT INTO "trial_user_attributes" VALUES(146,2,'accuracy','12.5');
INSERT INTO "trial_user_attributes" VALUES(147,2,'accuracy_per_epoch','[12.5]');
INSERT INTO "trial_user_attributes" VALUES(148,2,'seed','6154360814801411646');
INSERT INTO "trial_user_attributes" VALUES(149,2,'fingerprint','"7872ac7b91dd8d53e9fdc2fbd036629ea2d79b4fdb80467b5aa0765b0038f470"');
INSERT INTO "trial_user_attributes" VALUES(150,2,'worker','"host-1-000000"');
INSERT INTO "trial_user_attributes" VALUES(151,2,'device','"cpu"');
INSERT INTO "trial_user_attributes" VALUES(152,2,'fitness','10.674228675136117');
INSERT INTO "trial_user_attributes" VALUES(153,2,'copied_from','"tiny-pareto-s0 trial 1"');
INSERT INTO "trial_user_attributes" VALUES(154,1,'epochs','1');
INSERT INTO "trial_user_attributes" VALUES(155,1,'train_seconds','0.024');
INSERT INTO "trial_user_attributes" VALUES(156,1,'images_per_second','44957.2');
INSERT INTO "trial_user_attributes" VALUES(157,1,'accuracy','13.333333333333334');
INSERT INTO "trial_user_attributes" VALUES(158,1,'accuracy_per_epoch','[13.333333333333334]');
INSERT INTO "trial_user_attributes" VALUES(159,1,'seed','6477603056883398312');
INSERT INTO "trial_user_attributes" VALUES(160,1,'fingerprint','"7872ac7b91dd8d53e9fdc2fbd036629ea2d79b4fdb80467b5aa0765b0038f470"');
INSERT INTO "trial_user_attributes" VALUES(161,1,'worker','"host-1-000000"');
INSERT INTO "trial_user_attributes" VALUES(162,1,'device','"cpu"');
INSERT INTO "trial_user_attributes" VALUES(163,1,'fitness','12.46400483968542');
INSERT INTO "trial_user_attributes" VALUES(164,1,'copied_from','"tiny-pareto-s0 trial 0"');
INSERT INTO "trial_user_attributes" VALUES(165,12,'genotype','[0, 0, 2, 3, 2, 2]');
INSERT INTO "trial_user_attributes" VALUES(166,12,'precision','"binary"');
INSERT INTO "trial_user_attributes" VALUES(167,12,'flops','1412.0');
INSERT INTO "trial_user_attributes" VALUES(168,12,'memory_bits','11249');
INSERT INTO "trial_user_attributes" VALUES(169,12,'generation','2');
INSERT INTO "trial_user_attributes" VALUES(170,13,'genotype','[3, 2, 3, 3, 3, 3]');
INSERT INTO "trial_user_attributes" VALUES(171,13,'precision','"binary"');
INSERT INTO "trial_user_attributes" VALUES(172,13,'flops','7328.0');
INSERT INTO "trial_user_attributes" VALUES(173,13,'memory_bits','29536');
INSERT INTO "trial_user_attributes" VALUES(174,13,'generation','2');
INSERT INTO "trial_user_attributes" VALUES(175,14,'genotype','[2, 2, 0, 2, 2, 3]');
INSERT INTO "trial_user_attributes" VALUES(176,14,'precision','"binary"');
INSERT INTO "trial_user_attributes" VALUES(177,14,'flops','3447.5');
INSERT INTO "trial_user_attributes" VALUES(178,14,'memory_bits','17512');
INSERT INTO "trial_user_attributes" VALUES(179,14,'generation','2');
INSERT INTO "trial_user_attributes" VALUES(180,15,'genotype','[2, 3, 2, 2, 2, 2]');
INSERT INTO "trial_user_attributes" VALUES(181,15,'precision','"binary"');
INSERT INTO "trial_user_attributes" VALUES(182,15,'flops','3526.0');
INSERT INTO "trial_user_attributes" VALUES(183,15,'memory_bits','11168');
INSERT INTO "trial_user_attributes" VALUES(184,15,'generation','2');
INSERT INTO "trial_user_attributes" VALUES(185,16,'genotype','[3, 0, 0, 0, 0, 1]');
INSERT INTO "trial_user_attributes" VALUES(186,16,'precision','"binary"');
INSERT INTO "trial_user_attributes" VALUES(187,16,'flops','5310.75');
INSERT INTO "trial_user_attributes" VALUES(188,16,'memory_bits','5350');
INSERT INTO "trial_user_attributes" VALUES(189,16,'generation','2');
INSERT INTO "trial_user_attributes" VALUES(190,17,'genotype','[0, 3, 3, 3, 3, 2]');
INSERT INTO "trial_user_attributes" VALUES(191,17,'precision','"binary"');
INSERT INTO "trial_user_attributes" VALUES(192,17,'flops','2331.0');
INSERT INTO "trial_user_attributes" VALUES(193,17,'memory_bits','18152');
INSERT INTO "trial_user_attributes" VALUES(194,17,'generation','2');
INSERT INTO "trial_user_attributes" VALUES(195,13,'epochs','1');
INSERT INTO "trial_user_attributes" VALUES(196,13,'train_seconds','0.032');
INSERT INTO "trial_user_attributes" VALUES(197,13,'images_per_second','33535.6');
INSERT INTO "trial_user_attributes" VALUES(198,13,'accuracy','15.833333333333334');
INSERT INTO "trial_user_attributes" VALUES(199,13,'accuracy_per_epoch','[15.833333333333334]');
INSERT INTO "trial_user_attributes" VALUES(200,13,'seed','6028768133456995182');
INSERT INTO "trial_user_attributes" VALUES(201,13,'fingerprint','"7872ac7b91dd8d53e9fdc2fbd036629ea2d79b4fdb80467b5aa0765b0038f470"');
INSERT INTO "trial_user_attributes" VALUES(202,13,'worker','"host-1-000000"');
INSERT INTO "trial_user_attributes" VALUES(203,13,'device','"cpu"');
INSERT INTO "trial_user_attributes" VALUES(204,13,'fitness','6.9670296430732');
INSERT INTO "trial_user_attributes" VALUES(205,16,'epochs','1');
INSERT INTO "trial_user_attributes" VALUES(206,16,'train_seconds','0.026');
INSERT INTO "trial_user_attributes" VALUES(207,16,'images_per_second','41289.9');
INSERT INTO "trial_user_attributes" VALUES(208,16,'accuracy','11.944444444444445');
INSERT INTO "trial_user_attributes" VALUES(209,16,'accuracy_per_epoch','[11.944444444444445]');
INSERT INTO "trial_user_attributes" VALUES(210,16,'seed','2894846653125138371');
INSERT INTO "trial_user_attributes" VALUES(211,16,'fingerprint','"7872ac7b91dd8d53e9fdc2fbd036629ea2d79b4fdb80467b5aa0765b0038f470"');
INSERT INTO "trial_user_attributes" VALUES(212,16,'worker','"host-1-000000"');
INSERT INTO "trial_user_attributes" VALUES(213,16,'device','"cpu"');
INSERT INTO "trial_user_attributes" VALUES(214,16,'fitness','5.518854607783828');
INSERT INTO "trial_user_attributes" VALUES(215,15,'epochs','1');
INSERT INTO "trial_user_attributes" VALUES(216,15,'train_seconds','0.026');
INSERT INTO "trial_user_attributes" VALUES(217,15,'images_per_second','41092.6');
INSERT INTO "trial_user_attributes" VALUES(218,15,'accuracy','10.277777777777779');
INSERT INTO "trial_user_attributes" VALUES(219,15,'accuracy_per_epoch','[10.277777777777779]');
INSERT INTO "trial_user_attributes" VALUES(220,15,'seed','5654204639963389460');
INSERT INTO "trial_user_attributes" VALUES(221,15,'fingerprint','"7872ac7b91dd8d53e9fdc2fbd036629ea2d79b4fdb80467b5aa0765b0038f470"');
INSERT INTO "trial_user_attributes" VALUES(222,15,'worker','"host-1-000000"');
INSERT INTO "trial_user_attributes" VALUES(223,15,'device','"cpu"');
INSERT INTO "trial_user_attributes" VALUES(224,15,'fitness','6.011595079653157');
INSERT INTO "trial_user_attributes" VALUES(225,14,'epochs','1');
INSERT INTO "trial_user_attributes" VALUES(226,14,'train_seconds','0.026');
INSERT INTO "trial_user_attributes" VALUES(227,14,'images_per_second','40487.0');
INSERT INTO "trial_user_attributes" VALUES(228,14,'accuracy','13.61111111111111');
INSERT INTO "trial_user_attributes" VALUES(229,14,'accuracy_per_epoch','[13.61111111111111]');
INSERT INTO "trial_user_attributes" VALUES(230,14,'seed','6768217667702062906');
INSERT INTO "trial_user_attributes" VALUES(231,14,'fingerprint','"7872ac7b91dd8d53e9fdc2fbd036629ea2d79b4fdb80467b5aa0765b0038f470"');
INSERT INTO "trial_user_attributes" VALUES(232,14,'worker','"host-1-000000"');
INSERT INTO "trial_user_attributes" VALUES(233,14,'device','"cpu"');
INSERT INTO "trial_user_attributes" VALUES(234,14,'fitness','9.439907239362775');
INSERT INTO "trial_user_attributes" VALUES(235,17,'epochs','1');
INSERT INTO "trial_user_attributes" VALUES(236,17,'train_seconds','0.029');
INSERT INTO "trial_user_attributes" VALUES(237,17,'images_per_second','37302.9');
INSERT INTO "trial_user_attributes" VALUES(238,17,'accuracy','13.61111111111111');
INSERT INTO "trial_user_attributes" VALUES(239,17,'accuracy_per_epoch','[13.61111111111111]');
INSERT INTO "trial_user_attributes" VALUES(240,17,'seed','9223181774942727028');
INSERT INTO "trial_user_attributes" VALUES(241,17,'fingerprint','"7872ac7b91dd8d53e9fdc2fbd036629ea2d79b4fdb80467b5aa0765b0038f470"');
INSERT INTO "trial_user_attributes" VALUES(242,17,'worker','"host-1-000000"');
INSERT INTO "trial_user_attributes" VALUES(243,17,'device','"cpu"');
INSERT INTO "trial_user_attributes" VALUES(244,17,'fitness','10.79078443234523');
INSERT INTO "trial_user_attributes" VALUES(245,12,'epochs','1');
INSERT INTO "trial_user_attributes" VALUES(246,12,'train_seconds','0.024');
INSERT INTO "trial_user_attributes" VALUES(247,12,'images_per_second','44539.5');
INSERT INTO "trial_user_attributes" VALUES(248,12,'accuracy','14.166666666666666');
INSERT INTO "trial_user_attributes" VALUES(249,12,'accuracy_per_epoch','[14.166666666666666]');
INSERT INTO "trial_user_attributes" VALUES(250,12,'seed','6552479194720189214');
INSERT INTO "trial_user_attributes" VALUES(251,12,'fingerprint','"7872ac7b91dd8d53e9fdc2fbd036629ea2d79b4fdb80467b5aa0765b0038f470"');
INSERT INTO "trial_user_attributes" VALUES(252,12,'worker','"host-1-000000"');
INSERT INTO "trial_user_attributes" VALUES(253,12,'device','"cpu"');
INSERT INTO "trial_user_attributes" VALUES(254,12,'fitness','12.458257713248639');
INSERT INTO "trial_user_attributes" VALUES(255,18,'genotype','[0, 0, 0, 3, 2, 3]');
INSERT INTO "trial_user_attributes" VALUES(256,18,'precision','"binary"');
INSERT INTO "trial_user_attributes" VALUES(257,18,'flops','1486.0');
INSERT INTO "trial_user_attributes" VALUES(258,18,'memory_bits','17755');
INSERT INTO "trial_user_attributes" VALUES(259,18,'epochs','3');
INSERT INTO "trial_user_attributes" VALUES(260,18,'train_seconds','1.145');
INSERT INTO "trial_user_attributes" VALUES(261,18,'images_per_second','42147.4');
INSERT INTO "trial_user_attributes" VALUES(262,18,'loss_per_epoch','[2.2510277141224253, 2.0677162517200816, 1.7975756905295632]');
INSERT INTO "trial_user_attributes" VALUES(263,18,'accuracy','37.5');
INSERT INTO "trial_user_attributes" VALUES(264,18,'top5','81.38888888888889');
INSERT INTO "trial_user_attributes" VALUES(265,18,'seed','1546187334636074494');
INSERT INTO "trial_user_attributes" VALUES(266,18,'artifact','"fde79989-c201-4451-8d00-22042ebce1cb"');
INSERT INTO "trial_user_attributes" VALUES(267,18,'weights_hash','"444211989a272aee7b7e517d511bc4fdd4f0e8e0377a38fc9a73b1eeafaed3fe"');
INSERT INTO "trial_user_attributes" VALUES(268,18,'fingerprint','"099e24d36d67bbfe91f040f176db08c082c6d7b9ea54c3a0f22d960fc10e0a6f"');
INSERT INTO "trial_user_attributes" VALUES(269,18,'worker','"host-2-000001"');
INSERT INTO "trial_user_attributes" VALUES(270,18,'device','"cpu"');
INSERT INTO "trial_user_attributes" VALUES(271,18,'fitness','35.70205686630369');
CREATE TABLE trial_values (
	trial_value_id INTEGER NOT NULL, 
	trial_id INTEGER NOT NULL, 
	objective INTEGER NOT NULL, 
	value FLOAT, 
	value_type VARCHAR(7) NOT NULL, 
	PRIMARY KEY (trial_value_id), 
	UNIQUE (trial_id, objective), 
	FOREIGN KEY(trial_id) REFERENCES trials (trial_id)
);
INSERT INTO "trial_values" VALUES(1,9,0,1.69444444444444428654e+01,'FINITE');
INSERT INTO "trial_values" VALUES(2,9,1,7764.0,'FINITE');
INSERT INTO "trial_values" VALUES(3,10,0,8.05555555555555535818e+00,'FINITE');
INSERT INTO "trial_values" VALUES(4,10,1,5635.75,'FINITE');
INSERT INTO "trial_values" VALUES(5,8,0,1.27777777777777785668e+01,'FINITE');
INSERT INTO "trial_values" VALUES(6,8,1,3306.0,'FINITE');
INSERT INTO "trial_values" VALUES(7,7,0,12.5,'FINITE');
INSERT INTO "trial_values" VALUES(8,7,1,1509.0,'FINITE');
INSERT INTO "trial_values" VALUES(9,11,0,15.0,'FINITE');
INSERT INTO "trial_values" VALUES(10,11,1,1486.0,'FINITE');
INSERT INTO "trial_values" VALUES(11,6,0,1.33333333333333339256e+01,'FINITE');
INSERT INTO "trial_values" VALUES(12,6,1,718.5,'FINITE');
INSERT INTO "trial_values" VALUES(13,5,0,4.36111111111111142673e+01,'FINITE');
INSERT INTO "trial_values" VALUES(14,5,1,40224.0,'FINITE');
INSERT INTO "trial_values" VALUES(15,4,0,1.69444444444444428654e+01,'FINITE');
INSERT INTO "trial_values" VALUES(16,4,1,7764.0,'FINITE');
INSERT INTO "trial_values" VALUES(17,3,0,1.27777777777777785668e+01,'FINITE');
INSERT INTO "trial_values" VALUES(18,3,1,3306.0,'FINITE');
INSERT INTO "trial_values" VALUES(19,2,0,12.5,'FINITE');
INSERT INTO "trial_values" VALUES(20,2,1,1509.0,'FINITE');
INSERT INTO "trial_values" VALUES(21,1,0,1.33333333333333339256e+01,'FINITE');
INSERT INTO "trial_values" VALUES(22,1,1,718.5,'FINITE');
INSERT INTO "trial_values" VALUES(23,13,0,1.58333333333333339254e+01,'FINITE');
INSERT INTO "trial_values" VALUES(24,13,1,7328.0,'FINITE');
INSERT INTO "trial_values" VALUES(25,16,0,1.19444444444444446422e+01,'FINITE');
INSERT INTO "trial_values" VALUES(26,16,1,5310.75,'FINITE');
INSERT INTO "trial_values" VALUES(27,15,0,1.02777777777777785668e+01,'FINITE');
INSERT INTO "trial_values" VALUES(28,15,1,3526.0,'FINITE');
INSERT INTO "trial_values" VALUES(29,14,0,1.36111111111111107165e+01,'FINITE');
INSERT INTO "trial_values" VALUES(30,14,1,3447.5,'FINITE');
INSERT INTO "trial_values" VALUES(31,17,0,1.36111111111111107165e+01,'FINITE');
INSERT INTO "trial_values" VALUES(32,17,1,2331.0,'FINITE');
INSERT INTO "trial_values" VALUES(33,12,0,1.41666666666666660745e+01,'FINITE');
INSERT INTO "trial_values" VALUES(34,12,1,1412.0,'FINITE');
INSERT INTO "trial_values" VALUES(35,18,0,37.5,'FINITE');
INSERT INTO "trial_values" VALUES(36,18,1,1486.0,'FINITE');
CREATE TABLE trials (
	trial_id INTEGER NOT NULL, 
	number INTEGER, 
	study_id INTEGER, 
	state VARCHAR(8) NOT NULL, 
	datetime_start DATETIME, 
	datetime_complete DATETIME, 
	PRIMARY KEY (trial_id), 
	FOREIGN KEY(study_id) REFERENCES studies (study_id)
);
INSERT INTO "trials" VALUES(1,0,2,'COMPLETE','2026-11-21 15:11:45.302489','2026-11-21 15:11:45.303308');
INSERT INTO "trials" VALUES(2,1,2,'COMPLETE','2026-11-21 15:11:45.300835','2026-11-21 15:11:45.301690');
INSERT INTO "trials" VALUES(3,2,2,'COMPLETE','2026-11-21 15:11:45.299038','2026-11-21 15:11:45.299974');
INSERT INTO "trials" VALUES(4,3,2,'COMPLETE','2026-11-21 15:11:45.296021','2026-11-21 15:11:45.297969');
INSERT INTO "trials" VALUES(5,4,2,'COMPLETE','2026-11-21 15:11:45.267078','2026-11-21 15:11:45.294344');
INSERT INTO "trials" VALUES(6,0,1,'COMPLETE','2026-11-21 15:11:45.237890','2026-11-21 15:11:45.265299');
INSERT INTO "trials" VALUES(7,1,1,'COMPLETE','2026-11-21 15:11:45.173903','2026-11-21 15:11:45.204392');
INSERT INTO "trials" VALUES(8,2,1,'COMPLETE','2026-11-21 15:11:45.140733','2026-11-21 15:11:45.172301');
INSERT INTO "trials" VALUES(9,3,1,'COMPLETE','2026-11-21 15:11:43.839578','2026-11-21 15:11:45.102219');
INSERT INTO "trials" VALUES(10,4,1,'COMPLETE','2026-11-21 15:11:45.105168','2026-11-21 15:11:45.139118');
INSERT INTO "trials" VALUES(11,5,1,'COMPLETE','2026-11-21 15:11:45.206044','2026-11-21 15:11:45.236271');
INSERT INTO "trials" VALUES(12,6,1,'COMPLETE','2026-11-21 15:11:45.517163','2026-11-21 15:11:45.544724');
INSERT INTO "trials" VALUES(13,7,1,'COMPLETE','2026-11-21 15:11:45.350252','2026-11-21 15:11:45.386577');
INSERT INTO "trials" VALUES(14,8,1,'COMPLETE','2026-11-21 15:11:45.450767','2026-11-21 15:11:45.481833');
INSERT INTO "trials" VALUES(15,9,1,'COMPLETE','2026-11-21 15:11:45.419781','2026-11-21 15:11:45.449207');
INSERT INTO "trials" VALUES(16,10,1,'COMPLETE','2026-11-21 15:11:45.388394','2026-11-21 15:11:45.418252');
INSERT INTO "trials" VALUES(17,11,1,'COMPLETE','2026-11-21 15:11:45.483362','2026-11-21 15:11:45.515627');
INSERT INTO "trials" VALUES(18,0,3,'COMPLETE','2026-11-21 15:11:51.400303','2026-11-21 15:11:52.548190');
CREATE TABLE version_info (
	version_info_id INTEGER NOT NULL, 
	schema_version INTEGER, 
	library_version VARCHAR(256), 
	PRIMARY KEY (version_info_id), 
	CHECK (version_info_id=1)
);
INSERT INTO "version_info" VALUES(1,12,'5.0.0');
CREATE UNIQUE INDEX ix_studies_study_name ON studies (study_name);
CREATE INDEX ix_trials_study_id ON trials (study_id);
CREATE INDEX moo_bnas_trials_open ON moo_bnas_trials (study_id, status, cost DESC, trial_id);
CREATE INDEX ix_moo_bnas_evaluations_token ON moo_bnas_evaluations (token);
CREATE INDEX ix_moo_bnas_workers_study_id ON moo_bnas_workers (study_id);
COMMIT;
